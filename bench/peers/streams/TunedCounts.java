import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The same counts by hand: no repartitioning, a streaming JSON parser, counters in plain maps beside the partition, which go
 * into an in-memory store (with its changelog) and out once a second.
 */
public final class TunedCounts {
    private static final JsonFactory JSON = new JsonFactory();
    private static final String STORE = "counts";

    public static void main(String[] args) throws Exception {
        Setup setup = new Setup(args, 1);
        Topology topology = new Topology();
        topology.addSource("source", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), setup.topic);
        topology.addProcessor("count", () -> new Counting(setup.meter), "source");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(STORE), Serdes.String(), Serdes.Long()), "count");
        topology.addSink("sink", setup.outputTopic, Serdes.String().serializer(), Serdes.Long().serializer(), "count");
        setup.run(topology, Map.of(
                StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000,
                StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000));
    }

    private static final class Counter {
        long count;
        boolean changed;
    }

    private static final class Counting implements Processor<byte[], byte[], String, Long> {
        private final Meter meter;
        /** By window, then by dimension and value. */
        private final Map<Long, Map<String, Counter>[]> windows = new HashMap<>();
        private ProcessorContext<String, Long> context;
        private KeyValueStore<String, Long> store;

        Counting(Meter meter) {
            this.meter = meter;
        }

        @Override
        public void init(ProcessorContext<String, Long> context) {
            this.context = context;
            store = context.getStateStore(STORE);
            context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, now -> flush());
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            meter.started();
            try {
                count(record.value());
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
            meter.add(1);
        }

        private void count(byte[] value) throws IOException {
            String device = "unknown", locale = "unknown", version = "unknown";
            long timeMs = 0;
            try (JsonParser parser = JSON.createParser(value)) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    parser.nextToken();
                    switch (name) {
                        case "device_type" -> device = parser.getText();
                        case "locale" -> locale = parser.getText();
                        case "app_version" -> version = parser.getText();
                        case "timestamp" -> timeMs = timeOf(parser.getText());
                        default -> parser.skipChildren();
                    }
                }
            }
            Map<String, Counter>[] maps = windows.computeIfAbsent(timeMs / Setup.WINDOW_MS, Counting::newMaps);
            add(maps[0], device);
            add(maps[1], locale);
            add(maps[2], version);
            add(maps[3], version.substring(0, Math.max(0, version.lastIndexOf('.'))));
            int hour = (int) (timeMs / 3_600_000 % 24);
            add(maps[4], HOURS[hour]);
            add(maps[5], HOURS[hour / 6]);
        }

        private static final String[] HOURS = new String[24];

        static {
            for (int hour = 0; hour < HOURS.length; hour++) HOURS[hour] = Integer.toString(hour);
        }

        @SuppressWarnings({"unchecked", "rawtypes"})
        private static Map<String, Counter>[] newMaps(long window) {
            Map<String, Counter>[] maps = new Map[Setup.DIMENSIONS];
            for (int i = 0; i < maps.length; i++) maps[i] = new HashMap<>();
            return maps;
        }

        private static void add(Map<String, Counter> counts, String value) {
            Counter counter = counts.get(value);
            if (counter == null) counts.put(value, counter = new Counter());
            counter.count++;
            counter.changed = true;
        }

        private static long timeOf(String text) {
            if (text.indexOf('-') > 0) return Instant.parse(text).toEpochMilli();
            long number = Long.parseLong(text);
            return number >= 100_000_000_000L ? number : number * 1000;
        }

        private void flush() {
            windows.forEach((window, maps) -> {
                for (int dimension = 0; dimension < maps.length; dimension++) {
                    for (Map.Entry<String, Counter> entry : maps[dimension].entrySet()) {
                        Counter counter = entry.getValue();
                        if (!counter.changed) continue;
                        counter.changed = false;
                        String key = window + "/" + dimension + "/" + entry.getKey();
                        store.put(key, counter.count);
                        context.forward(new Record<>(key, counter.count, window * Setup.WINDOW_MS));
                    }
                }
            });
        }
    }
}
