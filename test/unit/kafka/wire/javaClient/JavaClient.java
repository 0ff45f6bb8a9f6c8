import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Utils;

/**
 * Writes what the Java client makes of some records, one batch a line, to be held against ours. With a JDK, from the
 * project's folder: java -cp '.cache/kafka-4.1.1/jars/*' test/unit/kafka/wire/javaClient/JavaClient.java
 *   > test/unit/kafka/wire/javaClient/batches.jsonl
 */
public class JavaClient {
  record Message(long timestamp, byte[] key, byte[] value, Header[] headers) {}

  static final Random random = new Random(20230912);
  static final String[] TEXTS = {"", "a", "user-42", "é", "日本語", "😀 login", "\u0000", "{\"user_id\":\"u\"}"};
  static final long NOW = 1_694_479_950_000L;

  public static void main(String[] args) {
    List<Message> one = List.of(new Message(NOW, null, null, new Header[0]));
    print(one, RecordBatch.NO_PRODUCER_ID, (short) -1, -1, false);
    print(one, 4_000_000_000L, (short) 0, 0, false);
    print(one, Long.MAX_VALUE, Short.MAX_VALUE, Integer.MAX_VALUE, true);
    for (int length : new int[] {63, 64, 127, 128, 8191, 8192}) {
      byte[] bytes = "x".repeat(length).getBytes(StandardCharsets.UTF_8);
      print(List.of(new Message(NOW, bytes(length % 3), bytes, new Header[0])), -1, (short) -1, -1, false);
    }
    for (long delta : new long[] {-1, 64, -65, 1L << 31, 1L << 40, -NOW}) {
      Message later = new Message(NOW + delta, null, bytes(1), new Header[0]);
      print(List.of(new Message(NOW, null, bytes(1), new Header[0]), later), -1, (short) -1, -1, false);
    }
    for (int batch = 0; batch < 12; batch++) {
      List<Message> messages = new ArrayList<>();
      int count = batch == 0 ? 200 : 1 + random.nextInt(8);
      for (int i = 0; i < count; i++) messages.add(message(batch == 0 ? 1 : 4));
      print(messages, batch, (short) batch, random.nextInt(100_000), batch % 2 == 0);
    }
  }

  static Message message(int most) {
    Header[] headers = new Header[random.nextInt(most)];
    for (int i = 0; i < headers.length; i++) headers[i] = new RecordHeader(text(), bytes(most));
    return new Message(NOW + random.nextInt(100_000) - 50_000, bytes(most), bytes(most), headers);
  }

  static String text() {
    return TEXTS[random.nextInt(TEXTS.length)];
  }

  static byte[] bytes(int most) {
    int kind = random.nextInt(4);
    if (kind == 0) return null;
    if (kind == 1) return text().getBytes(StandardCharsets.UTF_8);
    byte[] bytes = new byte[random.nextInt(20 * (most + 1))];
    random.nextBytes(bytes);
    return bytes;
  }

  static void print(List<Message> messages, long producerId, short epoch, int sequence, boolean transactional) {
    MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(64), RecordBatch.CURRENT_MAGIC_VALUE,
        Compression.NONE, TimestampType.CREATE_TIME, 0, RecordBatch.NO_TIMESTAMP, producerId, epoch, sequence,
        transactional, RecordBatch.NO_PARTITION_LEADER_EPOCH);
    for (Message m : messages) builder.append(m.timestamp, m.key, m.value, m.headers);
    ByteBuffer batch = builder.build().buffer();
    byte[] written = new byte[batch.remaining()];
    batch.get(written);
    String records = messages.stream().map(JavaClient::json).collect(Collectors.joining(","));
    System.out.printf("{\"producerId\":\"%d\",\"epoch\":%d,\"sequence\":%d,\"transactional\":%b,\"bytes\":%s,\"records\":[%s]}%n",
        producerId, epoch, sequence, transactional, base64(written), records);
  }

  /** [timestamp, key, murmur2 of the key in 31 bits, value, [header name, header value]...]; bytes and names in base64. */
  static String json(Message m) {
    StringBuilder headers = new StringBuilder();
    for (Header header : m.headers) {
      headers.append(",[").append(base64(header.key().getBytes(StandardCharsets.UTF_8))).append(',')
          .append(base64(header.value())).append(']');
    }
    Integer hash = m.key == null ? null : Utils.toPositive(Utils.murmur2(m.key));
    return "[" + m.timestamp + "," + base64(m.key) + "," + hash + "," + base64(m.value) + headers + "]";
  }

  static String base64(byte[] bytes) {
    return bytes == null ? "null" : '"' + Base64.getEncoder().encodeToString(bytes) + '"';
  }
}
