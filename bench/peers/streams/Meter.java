import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicLong;

/** Notes when, and after how much CPU of the process, the first event came in and the last one was counted. */
final class Meter {
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final long expected;
    private final AtomicLong counted = new AtomicLong();
    private volatile long firstNanos;
    private volatile long firstCpuNanos;

    /** @param expected how many counts make the work done */
    Meter(long expected) {
        this.expected = expected;
    }

    void started() {
        if (firstNanos != 0) return;
        firstCpuNanos = SYSTEM.getProcessCpuTime();
        firstNanos = System.nanoTime();
    }

    void add(long counts) {
        if (counted.addAndGet(counts) < expected) return;
        synchronized (this) {
            notifyAll();
        }
    }

    /** Waits until all is counted, then tells in one line of JSON. */
    void report(long events, long limitMs) throws InterruptedException {
        long deadline = System.currentTimeMillis() + limitMs;
        synchronized (this) {
            while (counted.get() < expected && System.currentTimeMillis() < deadline) wait(100);
        }
        double seconds = (System.nanoTime() - firstNanos) / 1e9;
        double cpuSeconds = (SYSTEM.getProcessCpuTime() - firstCpuNanos) / 1e9;
        if (counted.get() < expected) throw new IllegalStateException(counted.get() + " of " + expected + " are counted");
        System.out.printf(
                java.util.Locale.ROOT,
                "{\"events\":%d,\"counted\":%d,\"seconds\":%.4f,\"cpuSeconds\":%.4f}%n",
                events, counted.get(), seconds, cpuSeconds);
    }
}
