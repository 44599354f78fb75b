"""Jobs over tables beside what others do, on the same endpoint in the same run.

    cargo build --release -p nextbasket --bin nextbasket --examples
    python3 local/benches/tables.py [--items N] [--only count,update,dump,canned,memory] [--dynein PATH]

Needs boto3. Each figure is a process of its own: items per second of wall time, CPU per item of that process alone
(user and system, as the system counts it), and its peak memory. The endpoint is `nextbasket serve --ephemeral`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

import boto3

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RELEASE = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release")
NEXTBASKET = os.path.join(RELEASE, "nextbasket")
PEER = os.path.join(HERE, "peer.py")
TABLE = "bench-items"
# The endpoint's access key, once it has said it.
KEYS = {"AWS_REGION": "us-east-1"}


class Endpoint:
    """`nextbasket serve`, or the endpoint of ready-made pages in front of it."""

    def __init__(self):
        command = [NEXTBASKET, "serve", "--ephemeral", "--listen", "127.0.0.1:0", "--workers", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        said = [self.process.stderr.readline() for _ in range(8)]
        self.dynamodb, self.s3 = (re.search(r"http://\S+", line).group() for line in said[:2])
        exported = dict(line.strip().removeprefix("export ").split("=", 1) for line in said[3:])
        KEYS.update({name: exported[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")})
        self.canned = None

    def can(self, items_per_segment, delay):
        example = os.path.join(RELEASE, "examples", "canned_endpoint")
        command = [example, self.dynamodb, TABLE, str(items_per_segment), str(delay)]
        self.canned = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self.canned.stdout.readline().strip()

    def stop(self):
        for process in filter(None, [self.canned, self.process]):
            process.terminate()
            process.wait()


def measured(command, environment=None):
    """Runs a command; its standard output, wall seconds, CPU seconds and peak memory in MB."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.monotonic()
        environment = {**os.environ, **KEYS, **(environment or {})}
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        # What wait4 says of the memory counts what this process had when it forked.
        peak = [0]
        watch = threading.Thread(target=watch_memory, args=(process.pid, peak))
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)}: {err.read().decode()[-2000:]}")
        return out.read().decode(), seconds, usage.ru_utime + usage.ru_stime, peak[0] / 1024


def watch_memory(pid, peak):
    """The most memory that the process has had, in KB, looked at until it is gone."""
    while True:
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as status:
                said = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
        except (FileNotFoundError, ProcessLookupError):
            return
        if not said:
            return
        peak[0] = max(peak[0], *said)
        time.sleep(0.01)


def line(name, items, figures):
    """One line of the table; gives items per second and CPU microseconds per item."""
    _, seconds, cpu, memory = figures
    rate, each = items / seconds, cpu / items * 1e6
    print(f"{name:44} {rate:10,.0f} items/s {each:8.1f} us/item {memory:7.0f} MB", flush=True)
    return rate, each


class Job:
    """Commands of ours at the endpoint."""

    def __init__(self, endpoint, dynamodb=None):
        self.target = ["--endpoint", dynamodb or endpoint.dynamodb, "--s3-endpoint", endpoint.s3]

    def run(self, *command):
        confirmed = ["--yes"] if command[0] in ("fill", "restore", "update") else []
        return measured([NEXTBASKET, *command, *self.target, *confirmed, "--json"])


def bare_scan(url, segments):
    return measured([os.path.join(RELEASE, "examples", "bare_scan"), url, TABLE, str(segments)])


def peer(url, what, *more):
    """The same with boto3, measured without the time that Python takes to start."""
    out, *_ = measured([sys.executable, PEER, url, TABLE, what, *more])
    said = json.loads(out)
    return None, said["seconds"], said["cpuSeconds"], said["peakMb"]


def make(client, table):
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def fill(endpoint, items):
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint.dynamodb,
        region_name="us-east-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    make(client, TABLE)
    figures = Job(endpoint).run("fill", TABLE, "--count", str(items), "--item-bytes", "330")
    line("fill", items, figures)
    return client


def count(endpoint, items):
    """Every second run is the other's, and the best of three counts: the machine is noisy."""
    for width in (4, 8):
        ours, bare = [], []
        for _ in range(3):
            bare.append(bare_scan(endpoint.dynamodb, width))
            ours.append(Job(endpoint).run("count", TABLE, "--workers", str(width), "--segments", str(width)))
        fastest = lambda figures: min(figures, key=lambda one: one[1])
        scan, _ = line(f"count: bare scan, {width} segments", items, fastest(bare))
        rate, _ = line(f"count: ours, {width} workers", items, fastest(ours))
        print(f"    of the bare scan's rate: {rate / scan:.2f} (wanted: 0.9)")
    line("count: boto3, 4 threads", items, peer(endpoint.dynamodb, "count"))


def update(endpoint, items):
    _, ours = line("update: ours", items, Job(endpoint).run("update", TABLE, "--set", "touched = 1"))
    line("update, not idempotent: ours", items, Job(endpoint).run("update", TABLE, "--set", "ADD touched 1"))
    _, theirs = line("update: boto3, 4 threads", items, peer(endpoint.dynamodb, "update"))
    print(f"    CPU per item: {theirs / ours:.1f} times less than boto3's (wanted: 10)")


def dump(endpoint, items, dynein, client):
    with tempfile.TemporaryDirectory() as folder:
        scan, _ = line("dump: bare scan, 8 segments", items, bare_scan(endpoint.dynamodb, 8))
        rate, ours = line("dump, gzip and digest: ours", items, Job(endpoint).run("dump", TABLE, "--to", folder + "/dump"))
        print(f"    of the bare scan's rate: {rate / scan:.2f} (wanted: 0.9)")
        line("dump: boto3, 4 threads, gzip", items, peer(endpoint.dynamodb, "dump", folder + "/boto3.json.gz"))
        region = ["--region", "local", "--port", endpoint.dynamodb.rsplit(":", 1)[1]]
        if dynein:
            out = folder + "/dynein.jsonl"
            export = [dynein, *region, "export", "-t", TABLE, "-f", "jsonl", "-o", out]
            _, theirs = line("dump: dynein, plain JSON Lines", items, measured(export))
            print(f"    CPU per item: {theirs / ours:.2f} times dynein's (wanted: more than 1)")
        for name in ("bench-ours", "bench-dynein"):
            make(client, name)
        _, ours = line("restore: ours", items, Job(endpoint).run("restore", folder + "/dump", "bench-ours"))
        if dynein:
            import_ = [dynein, *region, "import", "-t", "bench-dynein", "-f", "jsonl", "-i", out]
            _, theirs = line("restore: dynein", items, measured(import_))
            print(f"    CPU per item: {theirs / ours:.2f} times less than dynein's (wanted: 3)")
        verified = Job(endpoint).run("verify", folder + "/dump", "table:bench-ours")
        line("verify: ours", items, verified)


def canned(endpoint):
    """Widths against pages that are ready after 5 ms: only the client's own cost is left."""
    segments, each = 32, 60_000
    url = endpoint.can(each, 5)
    items = segments * each
    for width in (1, 2, 4, 8, 16):
        job = Job(endpoint, url).run("count", TABLE, "--workers", str(width), "--segments", str(segments))
        line(f"count, 5 ms a page: {width} workers", items, job)
    for width in (1, 2, 4, 8):
        with tempfile.TemporaryDirectory() as folder:
            command = ["dump", TABLE, "--to", folder + "/dump", "--workers", str(width), "--segments", str(segments)]
            line(f"dump, 5 ms a page: {width} workers", items, Job(endpoint, url).run(*command))


def memory(endpoint, client):
    """Tables of growing size, each of its own, dumped and restored."""
    for items in (10_000, 100_000, 1_000_000):
        table, copy = f"bench-{items}", f"bench-{items}-copy"
        make(client, table)
        make(client, copy)
        Job(endpoint).run("fill", table, "--count", str(items), "--item-bytes", "330")
        with tempfile.TemporaryDirectory() as folder:
            line(f"dump of {items:,}", items, Job(endpoint).run("dump", table, "--to", folder + "/dump"))
            line(f"restore of {items:,}", items, Job(endpoint).run("restore", folder + "/dump", copy))
        for name in (table, copy):
            client.delete_table(TableName=name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--only", default="count,update,dump,canned")
    parser.add_argument("--dynein")
    options = parser.parse_args()
    only = options.only.split(",")
    endpoint = Endpoint()
    try:
        client = fill(endpoint, options.items)
        if "count" in only:
            count(endpoint, options.items)
        if "dump" in only:
            dump(endpoint, options.items, options.dynein, client)
        if "canned" in only:
            canned(endpoint)
        if "memory" in only:
            memory(endpoint, client)
        # Last: it changes the items.
        if "update" in only:
            update(endpoint, options.items)
    finally:
        endpoint.stop()


if __name__ == "__main__":
    main()
