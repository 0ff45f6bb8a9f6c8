"""The same pipeline on kafka-python, which is all Python."""

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer

from logins import Counts, Meter, arguments, enrich, parse


class Started(ConsumerRebalanceListener):
    def __init__(self, meter):
        self.meter = meter

    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        if assigned:
            self.meter.start()


def main():
    brokers, topic, events, group, enriched = arguments()
    meter, counts = Meter(), Counts()
    consumer = KafkaConsumer(
        bootstrap_servers=brokers, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, max_poll_records=5_000
    )
    producer = KafkaProducer(bootstrap_servers=brokers, acks="all", linger_ms=20) if enriched else None
    consumer.subscribe([topic], listener=Started(meter))
    while counts.accepted < events:
        for records in consumer.poll(500).values():
            for record in records:
                parsed = parse(record.value)
                if parsed is None or counts.accepted >= events:
                    continue
                counts.add(*parsed)
                if producer is not None:
                    producer.send(enriched, enrich(*parsed), key=record.key)
    if producer is not None:
        producer.flush()
        producer.close()
    consumer.commit()
    meter.report(counts)
    consumer.close()


main()
