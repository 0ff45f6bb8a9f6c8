import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.LocalStreamEnvironment;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;

/**
 * Windowed counts with Flink's DataStream API in a cluster inside this process, one slot: each event becomes one record per
 * dimension, keyed and summed in event-time windows. It ends with the topic.
 */
public final class FlinkCounts {
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final int DIMENSIONS = 6;
    // In a cluster inside this process the operators see these, too.
    private static final AtomicLong COUNTED = new AtomicLong();
    private static volatile long firstNanos;
    private static volatile long firstCpuNanos;

    /** @param args brokers, source topic, number of events in it */
    public static void main(String[] args) throws Exception {
        long events = Long.parseLong(args[2]);
        LocalStreamEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(1);
        environment.getConfig().enableObjectReuse();
        KafkaSource<byte[]> source = KafkaSource.<byte[]>builder()
                .setBootstrapServers(args[0])
                .setTopics(args[1])
                .setGroupId("flink-" + ProcessHandle.current().pid())
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setBounded(OffsetsInitializer.latest())
                .setValueOnlyDeserializer(new Bytes())
                .build();
        environment.fromSource(source, WatermarkStrategy.noWatermarks(), "logins")
                .map(FlinkCounts::parse)
                .returns(Login.class)
                .assignTimestampsAndWatermarks(
                        WatermarkStrategy.<Login>forBoundedOutOfOrderness(Duration.ofHours(1)).withTimestampAssigner((login, time) -> login.timeMs))
                .flatMap(FlinkCounts::dimensionsOf)
                .returns(Types.TUPLE(Types.STRING, Types.LONG))
                .keyBy(each -> each.f0)
                .window(TumblingEventTimeWindows.of(Duration.ofSeconds(10)))
                .aggregate(new Sum())
                .sinkTo(new DiscardingSink<>());
        environment.execute("logins");
        double seconds = (System.nanoTime() - firstNanos) / 1e9;
        double cpuSeconds = (SYSTEM.getProcessCpuTime() - firstCpuNanos) / 1e9;
        if (COUNTED.get() != events * DIMENSIONS) throw new IllegalStateException(COUNTED.get() + " counts of " + events + " events");
        System.out.printf(Locale.ROOT, "{\"events\":%d,\"counted\":%d,\"seconds\":%.4f,\"cpuSeconds\":%.4f}%n",
                events, COUNTED.get(), seconds, cpuSeconds);
    }

    public static final class Login {
        public String device = "unknown";
        public String locale = "unknown";
        public String version = "unknown";
        public long timeMs;
    }

    /** The bytes as they are. */
    private static final class Bytes extends AbstractDeserializationSchema<byte[]> {
        private static final long serialVersionUID = 1;

        @Override
        public byte[] deserialize(byte[] message) {
            return message;
        }
    }

    private static final ObjectMapper JSON = new ObjectMapper();

    private static Login parse(byte[] value) throws IOException {
        if (firstNanos == 0) {
            firstCpuNanos = SYSTEM.getProcessCpuTime();
            firstNanos = System.nanoTime();
        }
        JsonNode event = JSON.readTree(value);
        Login login = new Login();
        login.device = event.path("device_type").asText("unknown");
        login.locale = event.path("locale").asText("unknown");
        login.version = event.path("app_version").asText("unknown");
        login.timeMs = timeOf(event.path("timestamp").asText());
        return login;
    }

    private static long timeOf(String text) {
        if (text.indexOf('-') > 0) return Instant.parse(text).toEpochMilli();
        long number = Long.parseLong(text);
        return number >= 100_000_000_000L ? number : number * 1000;
    }

    private static void dimensionsOf(Login login, Collector<Tuple2<String, Long>> out) {
        long hour = login.timeMs / 3_600_000 % 24;
        out.collect(Tuple2.of("device_type=" + login.device, 1L));
        out.collect(Tuple2.of("locale=" + login.locale, 1L));
        out.collect(Tuple2.of("app_version=" + login.version, 1L));
        out.collect(Tuple2.of("version_category=" + login.version.substring(0, Math.max(0, login.version.lastIndexOf('.'))), 1L));
        out.collect(Tuple2.of("hour=" + hour, 1L));
        out.collect(Tuple2.of("day_part=" + hour / 6, 1L));
    }

    private static final class Sum implements AggregateFunction<Tuple2<String, Long>, Tuple2<String, Long>, Tuple2<String, Long>> {
        private static final long serialVersionUID = 1;

        @Override
        public Tuple2<String, Long> createAccumulator() {
            return Tuple2.of("", 0L);
        }

        @Override
        public Tuple2<String, Long> add(Tuple2<String, Long> one, Tuple2<String, Long> sum) {
            COUNTED.incrementAndGet();
            return Tuple2.of(one.f0, sum.f1 + one.f1);
        }

        @Override
        public Tuple2<String, Long> getResult(Tuple2<String, Long> sum) {
            return sum;
        }

        @Override
        public Tuple2<String, Long> merge(Tuple2<String, Long> one, Tuple2<String, Long> other) {
            return Tuple2.of(one.f0.isEmpty() ? other.f0 : one.f0, one.f1 + other.f1);
        }
    }
}
