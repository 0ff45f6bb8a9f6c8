"""A login pipeline on confluent-kafka (librdkafka), as fast as one writes it: consume in batches, produce without waiting."""

from confluent_kafka import Consumer, Producer

from logins import Counts, Meter, arguments, enrich, parse


def main():
    brokers, topic, events, group, enriched = arguments()
    meter, counts = Meter(), Counts()
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    producer = None
    if enriched:
        producer = Producer(
            {"bootstrap.servers": brokers, "acks": "all", "linger.ms": 20, "queue.buffering.max.messages": 200_000}
        )
    consumer.subscribe([topic], on_assign=meter.start)
    while counts.accepted < events:
        for message in consumer.consume(5_000, 0.5):
            if message.error():
                raise SystemExit(str(message.error()))
            parsed = parse(message.value())
            if parsed is None or counts.accepted >= events:
                continue
            counts.add(*parsed)
            if producer is not None:
                send(producer, enriched, message.key(), enrich(*parsed))
        if producer is not None:
            producer.poll(0)
    if producer is not None and producer.flush() > 0:
        raise SystemExit("not all enriched events were acknowledged")
    consumer.commit(asynchronous=False)
    meter.report(counts)
    consumer.close()


def send(producer, topic, key, value):
    while True:
        try:
            producer.produce(topic, value, key)
            return
        except BufferError:
            producer.poll(0.05)


main()
