"""What the small login pipelines do with one event: validate, count, enrich. Shared by both clients."""

import json
import sys
import time
from collections import Counter
from datetime import datetime, timezone

REQUIRED = ("user_id", "timestamp")
DAY_PARTS = ("night", "morning", "afternoon", "evening")
DEVICE_TYPES = {"android", "ios", "web", "tv"}
WINDOW_SECONDS = 10


class Counts:
    """Windowed counts by the same dimensions as in the other programs."""

    def __init__(self):
        self.windows = {}
        self.accepted = 0

    def add(self, event, seconds):
        counts = self.windows.get(seconds // WINDOW_SECONDS)
        if counts is None:
            counts = self.windows[seconds // WINDOW_SECONDS] = tuple(Counter() for _ in range(6))
        devices, locales, versions, categories, hours, parts = counts
        version = event.get("app_version") or "unknown"
        hour = seconds // 3600 % 24
        devices[event.get("device_type") or "unknown"] += 1
        locales[event.get("locale") or "unknown"] += 1
        versions[version] += 1
        categories[".".join(version.split(".")[:2])] += 1
        hours[hour] += 1
        parts[DAY_PARTS[hour // 6]] += 1
        self.accepted += 1


def parse(value):
    """The event and its time in seconds; None when it is not valid."""
    try:
        event = json.loads(value)
        if not all(event.get(name) for name in REQUIRED):
            return None
        text = str(event["timestamp"])
        if "-" in text:
            return event, int(datetime.fromisoformat(text).timestamp())
        number = int(text)
        return event, number // 1000 if number >= 100_000_000_000 else number
    except (ValueError, TypeError, AttributeError):
        return None


def enrich(event, seconds):
    """The event as it goes into the next topic, as bytes."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    device = str(event.get("device_type") or "unknown").lower()
    version = event.get("app_version") or "unknown"
    enriched = {
        **event,
        "ip": ".".join([*(event.get("ip") or "0.0.0.0").split(".")[:3], "0"]),
        "device_type": device if device in DEVICE_TYPES else "other",
        "timestamp": seconds,
        "processed_timestamp": datetime.now(timezone.utc).isoformat(),
        "readable_timestamp": moment.isoformat(),
        "hour_of_day": moment.hour,
        "day_part": DAY_PARTS[moment.hour // 6],
        "version_category": ".".join(version.split(".")[:2]),
    }
    return json.dumps(enriched).encode()


class Meter:
    """From the assignment of the partitions to the last event, which has been written and committed, too."""

    def __init__(self):
        self.started = None

    def start(self, *_):
        if self.started is None:
            self.started = (time.monotonic(), time.process_time())

    def report(self, counts):
        wall, cpu = self.started
        seconds, cpu_seconds = time.monotonic() - wall, time.process_time() - cpu
        print(json.dumps({"events": counts.accepted, "counted": counts.accepted, "seconds": seconds, "cpuSeconds": cpu_seconds}))


def arguments():
    """Brokers, source topic, number of events, group, topic of enriched events or ''."""
    brokers, topic, events, group, enriched = sys.argv[1:6]
    return brokers, topic, int(events), group, enriched
