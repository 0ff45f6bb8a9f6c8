import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Windowed counts as one writes them with the DSL: each event becomes one record per dimension, these are grouped (which
 * sends them through a repartition topic) and counted in the default store.
 */
public final class DslCounts {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String[] FIELDS = {"device_type", "locale", "app_version"};

    public static void main(String[] args) throws Exception {
        Setup setup = new Setup(args, Setup.DIMENSIONS);
        Meter meter = setup.meter;
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(setup.topic, Consumed.with(Serdes.Bytes(), Serdes.ByteArray()).withTimestampExtractor(new EventTime()))
                .flatMap((key, value) -> {
                    meter.started();
                    return dimensionsOf(value);
                })
                .groupByKey(Grouped.with("by-value", Serdes.String(), Serdes.Integer()))
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMillis(Setup.WINDOW_MS), Duration.ofMillis(Setup.GRACE_MS)))
                // As count() does, and one step more, to know when all is counted.
                .aggregate(() -> 0L, (key, one, count) -> {
                    meter.add(1);
                    return count + one;
                }, Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counts").withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
                .toStream((window, count) -> window.window().start() + "/" + window.key())
                .to(setup.outputTopic, Produced.with(Serdes.String(), Serdes.Long()));
        setup.run(builder.build(), Map.of());
    }

    private static List<KeyValue<String, Integer>> dimensionsOf(byte[] value) {
        JsonNode event = parse(value);
        List<KeyValue<String, Integer>> counts = new ArrayList<>(Setup.DIMENSIONS);
        for (String field : FIELDS) counts.add(KeyValue.pair(field + "=" + event.path(field).asText("unknown"), 1));
        String version = event.path("app_version").asText("unknown");
        counts.add(KeyValue.pair("version_category=" + categoryOf(version), 1));
        int hour = Instant.ofEpochMilli(timeOf(event)).atZone(ZoneOffset.UTC).getHour();
        counts.add(KeyValue.pair("hour=" + hour, 1));
        counts.add(KeyValue.pair("day_part=" + hour / 6, 1));
        return counts;
    }

    private static String categoryOf(String version) {
        int first = version.indexOf('.');
        int second = version.indexOf('.', first + 1);
        return second < 0 ? version : version.substring(0, second);
    }

    private static JsonNode parse(byte[] value) {
        try {
            return JSON.readTree(value);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    private static long timeOf(JsonNode event) {
        JsonNode time = event.path("timestamp");
        String text = time.asText();
        if (text.indexOf('-') > 0) return Instant.parse(text).toEpochMilli();
        long number = Long.parseLong(text);
        return number >= 100_000_000_000L ? number : number * 1000;
    }

    /** Event time is in the value: it is parsed for this, too, as in every such program. */
    static final class EventTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return timeOf(parse((byte[]) record.value()));
        }
    }
}
