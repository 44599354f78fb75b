"""What the same work costs with boto3: four segments on four threads, as its documentation shows it.

    python3 peer.py ENDPOINT TABLE update|count|dump [FILE]

Prints one line of JSON: items, seconds, CPU seconds of this process, peak memory in MB.
"""

import gzip
import json
import resource
import sys
import threading
import time

import boto3
from botocore.config import Config

SEGMENTS = 4


def main():
    endpoint, table, what = sys.argv[1:4]
    file = sys.argv[4] if len(sys.argv) > 4 else None
    config = Config(max_pool_connections=SEGMENTS, retries={"mode": "standard"})
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        config=config,
    )
    keys = [key["AttributeName"] for key in client.describe_table(TableName=table)["Table"]["KeySchema"]]
    done = [0] * SEGMENTS

    def update(segment):
        names = {f"#k{at}": key for at, key in enumerate(keys)}
        pages = client.get_paginator("scan").paginate(
            TableName=table,
            Segment=segment,
            TotalSegments=SEGMENTS,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        )
        for page in pages:
            for item in page["Items"]:
                client.update_item(
                    TableName=table,
                    Key=item,
                    UpdateExpression="SET #a = :v",
                    ConditionExpression="attribute_exists(#k)",
                    ExpressionAttributeNames={"#a": "touched", "#k": keys[0]},
                    ExpressionAttributeValues={":v": {"N": "1"}},
                )
                done[segment] += 1

    def count(segment):
        pages = client.get_paginator("scan").paginate(
            TableName=table, Segment=segment, TotalSegments=SEGMENTS, Select="COUNT"
        )
        for page in pages:
            done[segment] += page["Count"]

    def dump(segment):
        pages = client.get_paginator("scan").paginate(TableName=table, Segment=segment, TotalSegments=SEGMENTS)
        with gzip.open(f"{file}.{segment}", "wt", compresslevel=1) as out:
            for page in pages:
                for item in page["Items"]:
                    out.write(json.dumps({"Item": item}, default=repr) + "\n")
                done[segment] += page["Count"]

    work = {"update": update, "count": count, "dump": dump}[what]
    before, begun = time.process_time(), time.monotonic()
    threads = [threading.Thread(target=work, args=(segment,)) for segment in range(SEGMENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(
        json.dumps(
            {
                "items": sum(done),
                "seconds": round(time.monotonic() - begun, 3),
                "cpuSeconds": round(time.process_time() - before, 3),
                "peakMb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
