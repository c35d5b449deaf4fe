"""Kafka to a DuckDB table, exactly once: the rows of a batch and the offsets behind them in one transaction. It goes on
from the offsets in its database, whatever the group coordinator says. Prints one line of JSON when it has all rows."""
import json, os, resource, sys, tempfile, time
import duckdb
from confluent_kafka import Consumer, TopicPartition

bootstrap, topic, partitions, rows, form, database = sys.argv[1:7]
partitions, rows = int(partitions), int(rows)
BATCH = 200_000
TYPES = {"id": "BIGINT", "day": "DATE", "name": "VARCHAR", "country": "INTEGER", "price": "DOUBLE"}

db = duckdb.connect(database)
db.execute("CREATE TABLE IF NOT EXISTS t (id BIGINT, day DATE, name VARCHAR, country INTEGER, price DOUBLE)")
db.execute("CREATE TABLE IF NOT EXISTS offsets (part INTEGER PRIMARY KEY, next BIGINT)")
at = dict(db.execute("SELECT part, next FROM offsets").fetchall())
consumer = Consumer({
    "bootstrap.servers": bootstrap, "group.id": "bench-python", "enable.auto.commit": False,
    "fetch.message.max.bytes": 4 << 20, "queued.min.messages": 1_000_000, "check.crcs": True,
})
consumer.assign([TopicPartition(topic, p, at.get(p, 0)) for p in range(partitions)])
file = os.path.join("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir(), f"bench-{os.getpid()}")
reader = "read_ndjson(?, columns = $types)" if form == "json" else "read_csv(?, columns = $types, header = false)"
reader = reader.replace("$types", "{" + ", ".join(f"'{k}': '{v}'" for k, v in TYPES.items()) + "}")

seen, begin = db.execute("SELECT count(*) FROM t").fetchone()[0], time.time()
while seen < rows:
    got = []
    while len(got) < BATCH and seen + len(got) < rows:
        found = consumer.consume(num_messages=min(20_000, BATCH - len(got)), timeout=0.2)
        if not found and got:
            break
        got += [m for m in found if not m.error()]
    with open(file, "wb") as out:
        out.write(b"\n".join(m.value() for m in got) + b"\n")
    for m in got:
        at[m.partition()] = m.offset() + 1
    db.execute("BEGIN")
    db.execute(f"INSERT INTO t SELECT * FROM {reader}", [file])
    for part, offset in at.items():
        db.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?)", [part, offset])
    db.execute("COMMIT")
    seen += len(got)
seconds = time.time() - begin
os.unlink(file)
count, distinct, total = db.execute("SELECT count(*), count(DISTINCT id), sum(id) FROM t").fetchone()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "seconds": seconds, "rows": count, "distinct": distinct, "sum": str(total),
    "cpuSeconds": usage.ru_utime + usage.ru_stime, "peakRssMiB": usage.ru_maxrss // 1024,
    "duckdb": duckdb.__version__,
}))
