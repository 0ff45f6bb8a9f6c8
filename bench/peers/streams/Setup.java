import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;

/** What the two programs have in common: arguments, settings, the run. */
final class Setup {
    /** Dimensions that every event is counted by, as Tidemark does without places. */
    static final int DIMENSIONS = 6;
    static final long WINDOW_MS = 10_000;
    /** Events of a backlog come out of order between partitions. */
    static final long GRACE_MS = 3_600_000;
    private static final long LIMIT_MS = 600_000;

    final String brokers;
    final String topic;
    final long events;
    final String name;
    final String outputTopic;
    final String stateDir;
    final Meter meter;

    /** @param args brokers, source topic, number of events, application id, topic for counts, folder for state */
    Setup(String[] args, int countsPerEvent) {
        brokers = args[0];
        topic = args[1];
        events = Long.parseLong(args[2]);
        name = args[3];
        outputTopic = args[4];
        stateDir = args[5];
        meter = new Meter(events * countsPerEvent);
    }

    void run(Topology topology, Map<String, Object> more) throws InterruptedException {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, stateDir);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.putAll(more);
        KafkaStreams streams = new KafkaStreams(topology, properties);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        meter.report(events, LIMIT_MS);
        streams.close();
    }
}
