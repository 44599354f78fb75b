"""Deploys the built stack to an emulator and runs jobs there, end to end.

Run by emulator.sh, which gives it a network of its own. The emulator runs the functions' own binaries, the HTTP API,
the table's stream and the state machine, and it lets each function do only what its role in the template allows.
"""

import base64
import concurrent.futures
import gzip
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PORT = 4566
URL = f"http://127.0.0.1:{PORT}"
REGION = "eu-central-1"
STACK = "nextbasket"
# The emulator's root user; everybody else needs a policy.
KEY = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
PATIENCE = 180


def client(service):
    return boto3.client(
        service,
        endpoint_url=URL,
        region_name=REGION,
        aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
    )


def until(what, look, patience=PATIENCE):
    """Looks again and again until it sees something."""
    end = time.monotonic() + patience
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(0.3)


class Emulator:
    """A running emulator; it ends with the `with`."""

    def __init__(self, work):
        self.work = work
        self.log = os.path.join(work, "emulator.log")

    def __enter__(self):
        # It opens further ports on all interfaces, whatever BIND_HOST says: only in a network of its own.
        interfaces = [name for _, name in socket.if_nameindex()]
        assert interfaces == ["lo"], f"not in a network of its own: {interfaces}"
        environment = {
            "PATH": os.environ["PATH"],
            "TMPDIR": self.work,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(PORT),
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            **KEY,
        }
        program = os.path.join(os.path.dirname(sys.executable), "ministack")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program], env=environment, stdout=log, stderr=log)
        until("the emulator starts", self.answers, 60)
        return self

    def answers(self):
        assert self.process.poll() is None, "the emulator has ended"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=2)
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def __exit__(self, *error):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stack:
    """The deployed stack, asked as its clients do."""

    def __init__(self):
        described = client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        assert described["StackStatus"] == "CREATE_COMPLETE", described
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        self.host = self.outputs["ApiUrl"].removeprefix("http://")
        self.dynamodb = client("dynamodb")
        self.states = client("stepfunctions")
        self.s3 = client("s3")

    def request(self, method, path, body=None):
        """A signed request to the HTTP API: status, headers and body."""
        data = None if body is None else json.dumps(body)
        headers = {"host": self.host} | ({} if data is None else {"content-type": "application/json"})
        signed = AWSRequest(method, f"http://{self.host}{path}", headers, data)
        SigV4Auth(Credentials("test", "test"), "execute-api", REGION).add_auth(signed)
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        connection.request(method, path, data, dict(signed.headers))
        response = connection.getresponse()
        text = response.read()
        return response.status, response.headers, json.loads(text) if text else None

    def ask(self, method, path, body=None, status=200):
        got, _, answer = self.request(method, path, body)
        assert got == status, f"{method} {path}: {got}, not {status}: {json.dumps(answer)}"
        return answer

    def submit(self, job):
        status, headers, answer = self.request("POST", "/jobs", job)
        assert status == 202, f"{job}: {status}: {json.dumps(answer)}"
        assert headers["location"] == f"/jobs/{answer['jobId']}", headers.items()
        return answer["jobId"]

    def ended(self, job):
        """The job once it has ended, and its execution, too."""

        def look():
            shown = self.ask("GET", f"/jobs/{job}")
            return shown if shown["state"] in ("succeeded", "failed", "cancelled") else None

        shown = until(f"the job {job} ends", look)
        until(f"the execution of {job} ends", lambda: self.execution(job)["status"] != "RUNNING", 60)
        return shown

    def execution(self, name):
        machine = self.outputs["JobStateMachineArn"]
        arn = machine.replace(":stateMachine:", ":execution:") + f":{name}"
        return self.states.describe_execution(executionArn=arn)

    def succeeds(self, job):
        shown = self.ended(job)
        assert shown["state"] == "succeeded", json.dumps(shown, indent=2)
        assert self.execution(job)["status"] == "SUCCEEDED"
        return shown

    def items(self, table):
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def nothing_is_left_over(self):
        """No lock that is held, no job that is active, no upload that was begun and not ended."""
        operations = self.items(self.outputs["OperationsTableName"])
        held = [item for item in operations if item["pk"]["S"] == "lock" and not item["released"]["BOOL"]]
        assert not held, f"locks are held: {held}"
        active = [item for item in operations if item["pk"]["S"] == "active"]
        assert not active, f"jobs are active: {active}"
        begun = self.s3.list_multipart_uploads(Bucket=self.outputs["JobsBucketName"]).get("Uploads", [])
        assert not begun, f"uploads are left: {begun}"


def deploy(build, parameters):
    """As people deploy it, but to the emulator."""
    client("s3").create_bucket(
        Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    command = ["sam", "deploy", "--template-file", f"{build}/template.yaml", "--stack-name", STACK]
    command += ["--s3-bucket", "artifacts", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
    environment = {**os.environ, **KEY, "AWS_ENDPOINT_URL": URL, "SAM_CLI_TELEMETRY": "0"}
    deployed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert deployed.returncode == 0, deployed.stdout[-5000:]
    # It lets nobody in without TLS, and the emulator has none.
    stack = Stack()
    for bucket in ("JobsBucketName", "DumpsBucketName"):
        stack.s3.delete_bucket_policy(Bucket=stack.outputs[bucket])
    return stack


def table(name, items):
    """A table that is not the stack's, with so many items. Answers its ARN."""
    dynamodb = client("dynamodb")
    described = dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    for first in range(0, items, 25):
        puts = [
            {"PutRequest": {"Item": {"id": {"S": f"{name}-{n:05}"}, "number": {"N": str(n)}, "count": {"N": "0"}}}}
            for n in range(first, min(first + 25, items))
        ]
        written = dynamodb.batch_write_item(RequestItems={name: puts})
        assert not written.get("UnprocessedItems"), written
    return described["TableDescription"]["TableArn"]


def shop(stack):
    """Products and purchases, through the API: users of two tastes, who buy what they like again."""
    products = [f"product-{n:02}" for n in range(24)]
    requests = [
        ("PUT", f"/products/{product}", {"name": f"Product {n}", "categories": ["Even" if n % 2 == 0 else "Odd"]})
        for n, product in enumerate(products)
    ]
    for user in range(30):
        taste = [n for n in range(len(products)) if n % 2 == user % 2]
        for order in range(8):
            lines = [
                {"productId": products[taste[(user * 3 + order * step) % len(taste)]], "quantity": 1}
                for step in (0, 1, 5)
            ]
            lines = list({line["productId"]: line for line in lines}.values())
            purchase = {
                "purchaseId": f"order-{order}",
                "userId": f"user-{user:02}",
                "purchasedAt": f"2025-03-{order * 3 + 1:02}T10:00:00Z",
                "lines": lines,
            }
            requests.append(("POST", "/purchases", purchase))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda request: stack.ask(*request, status=201), requests):
            pass
    return len(requests) - len(products)


def train(stack, purchases):
    """One `train` job: a model that is live, and answers that are made from it."""
    assert stack.ask("GET", "/models") == {"items": []}
    stack.submit({"jobId": "train-1", "kind": "train", "parameters": {}})
    # Asked again, it is the same job.
    stack.submit({"jobId": "train-1", "kind": "train", "parameters": {}})
    shown = stack.succeeds("train-1")
    print("   ", [f"{stage['name']}: {stage['done']} batches" for stage in shown["stages"]])
    (model,) = stack.ask("GET", "/models")["items"]
    assert model["live"] and model["purchases"] == purchases, model

    def recommended():
        answer = stack.ask("GET", "/users/user-01/recommendations?limit=5")
        return answer if answer["modelVersion"] == model["version"] else None

    answer = until("the model is in use", recommended, 60)
    assert answer["items"], answer
    reasons = {reason["kind"] for item in answer["items"] for reason in item["reasons"]}
    assert reasons & {"boughtAgain", "boughtNext", "boughtTogether"}, answer
    print("   ", answer["items"][0]["productId"], answer["items"][0]["reasons"][0]["text"])


def update(stack):
    """One `update` job, on a table that is not the stack's: every item is changed, and once."""
    job = {
        "kind": "update",
        "parameters": {"table": "things", "set": "count = count + 1, season = 'spring'", "segments": 6, "width": 3},
    }
    estimate = stack.ask("POST", "/jobs", {**job, "dryRun": True})["estimate"]
    assert estimate["writeUnits"] > 0, estimate
    shown = stack.succeeds(stack.submit(job))
    counts = [(item["count"]["N"], item["season"]["S"]) for item in stack.items("things")]
    assert counts == [("1", "spring")] * THINGS, sorted(set(counts))
    total = shown["total"]
    assert (total["processed"], total["changed"], total["refused"]) == (THINGS, THINGS, 0), total
    print("   ", total)


def plain(item):
    """An item in Python's own types, as boto3 reads them."""
    deserializer = TypeDeserializer()
    return {name: deserializer.deserialize(value) for name, value in item.items()}


def exported(read, summary):
    """The items of an export, read as AWS documents it, by its checksums."""
    items = []
    for line in read(summary["manifestFilesS3Key"]).decode().splitlines():
        file = json.loads(line)
        content = read(file["dataFileS3Key"])
        assert base64.b64encode(hashlib.md5(content).digest()).decode() == file["md5Checksum"], file
        lines = gzip.decompress(content).decode().splitlines()
        assert len(lines) == file["itemCount"], file
        items += [plain(json.loads(line)["Item"]) for line in lines]
    return items


def dump(stack):
    """What the schedule starts: an execution that is given a kind, submits the job, and dumps tables to their bucket."""
    tables = [stack.outputs[name] for name in ("ProductsTableName", "PurchasesTableName")]
    bucket = stack.outputs["DumpsBucketName"]
    parameters = {"tables": tables, "to": f"s3://{bucket}/daily", "keep": {"count": 7, "days": 35}}
    machine = stack.outputs["JobStateMachineArn"]
    given = json.dumps({"kind": "dump", "parameters": parameters})
    started = stack.states.start_execution(stateMachineArn=machine, name="nightly", input=given)
    until("the dump ends", lambda: stack.execution("nightly")["status"] != "RUNNING")
    execution = stack.states.describe_execution(executionArn=started["executionArn"])
    assert execution["status"] == "SUCCEEDED", execution
    (job,) = [job for job in stack.ask("GET", "/jobs")["items"] if job["kind"] == "dump"]
    assert job["state"] == "succeeded" and job["jobId"].endswith("-nightly"), job
    objects = stack.s3.list_objects_v2(Bucket=bucket)["Contents"]
    read = lambda key: stack.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    counts = {}
    for key in (entry["Key"] for entry in objects):
        if key.endswith("/manifest-summary.json"):
            summary = json.loads(read(key))
            table = summary["tableArn"].rsplit("/", 1)[1]
            items = exported(read, summary)
            assert len(items) == summary["itemCount"], (table, len(items), summary)
            counts[table] = len(items)
            wanted = [plain(item) for item in stack.items(table)]
            order = lambda item: json.dumps(item, sort_keys=True, default=str)
            assert sorted(items, key=order) == sorted(wanted, key=order), f"{table} is not what was dumped"
    assert set(counts) == set(tables), counts
    print("   ", counts)


def slow(stack):
    """A batch that takes longer than a function may: it goes on from its checkpoint in further calls."""
    functions = client("lambda")
    resources = client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId="JobWorkFunction")
    name = resources["StackResourceDetail"]["PhysicalResourceId"]
    functions.update_function_configuration(FunctionName=name, Timeout=6)
    parameters = {"table": "things", "set": "count = count + 1", "segments": 1, "writeUnits": THINGS / 12}
    job = stack.submit({"kind": "update", "parameters": parameters})
    shown = stack.succeeds(job)
    assert [item["count"]["N"] for item in stack.items("things")] == ["2"] * THINGS, "not each item once"
    children = stack.states.list_executions(mapRunArn=map_run(stack, job))["executions"]
    assert [child["status"] for child in children] == ["SUCCEEDED"], children
    output = stack.states.describe_execution(executionArn=children[0]["executionArn"])["output"]
    assert output == "{}", f"a child passes on {output}"
    functions.update_function_configuration(FunctionName=name, Timeout=900)
    begun, ended = shown["stages"][0]["startedAt"], shown["stages"][0]["endedAt"]
    print("   ", f"one batch from {begun} to {ended}, in functions of 6 s")


def map_run(stack, job):
    arn = stack.execution(job)["executionArn"]
    (run,) = stack.states.list_map_runs(executionArn=arn)["mapRuns"]
    return run["mapRunArn"]


class Console:
    """The command `console` over the deployed stack; it ends with the `with`."""

    def __init__(self, command, *options):
        self.arguments = [command, "console", "--stack", STACK, "--region", REGION, "--endpoint", URL]
        self.arguments += ["--s3-endpoint", URL, "--listen", "127.0.0.1:0", *options]

    def __enter__(self):
        environment = {**os.environ, **KEY, "AWS_ENDPOINT_URL": URL}
        self.process = subprocess.Popen(self.arguments, env=environment, stdout=subprocess.PIPE, text=True)
        link = self.process.stdout.readline().strip()
        address, separator, self.session = link.removeprefix("Console: http://").partition("/console/#session=")
        assert separator, f"the console printed {link!r}"
        self.connection = http.client.HTTPConnection(address, timeout=60)
        return self

    def ask(self, method, path, body=None, session=True):
        """Status and JSON of the answer."""
        headers = {"x-nextbasket-session": self.session} if session else {}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def __exit__(self, *error):
        self.connection.close()
        self.process.terminate()
        assert self.process.wait(20) == 0


def console(stack, command):
    """The console finds the stack by its name, shows what the deployed API shows, and its jobs are executions there."""
    refresh = {"kind": "refresh-popular"}
    with Console(command) as page:
        assert page.ask("GET", "/products", session=False)[0] == 401
        status, session = page.ask("GET", "/console/api/session")
        assert (status, session["place"]["stack"], session["writable"]) == (200, STACK, False), session
        assert session["tables"]["purchases"] == stack.outputs["PurchasesTableName"], session
        assert session["buckets"]["dumps"] == stack.outputs["DumpsBucketName"], session
        assert page.ask("GET", "/models") == (200, stack.ask("GET", "/models"))
        status, overview = page.ask("GET", "/console/api/overview")
        assert status == 200 and overview["model"]["live"]["version"] == 1, overview
        assert [dump["scheduled"] for dump in overview["dumps"]] == [True] * 4, overview["dumps"]
        status, refusal = page.ask("POST", "/jobs", refresh)
        assert (status, refusal["code"]) == (403, "read_only"), refusal
    with Console(command, "--writable") as page:
        status, job = page.ask("POST", "/jobs", refresh)
        assert status == 202, job
        stack.succeeds(job["jobId"])
        print("   ", [found["code"] for found in page.ask("GET", "/console/api/overview")[1]["attention"]])


def forbidden(stack):
    """A table that the role does not know: the job stops at once, and says why."""
    parameters = {"table": "secrets", "set": "count = 1"}
    shown = stack.ended(stack.submit({"jobId": "forbidden", "kind": "update", "parameters": parameters}))
    assert shown["state"] == "failed", shown
    assert "AccessDenied" in shown["failure"] and "secrets" in shown["failure"], shown["failure"]
    execution = stack.execution("forbidden")
    assert (execution["status"], execution["error"]) == ("FAILED", "Job.Failed"), execution
    assert all(item["count"]["N"] == "0" for item in stack.items("secrets"))
    print("   ", shown["failure"][:160])


def long(stack):
    """A job that follows a table, until its execution's history is long, and then until it is cancelled."""
    parameters = {"table": "things", "set": "seen = 1", "where": "attribute_not_exists(seen)", "follow": {"interval": "1s"}}
    stack.submit({"jobId": "long", "kind": "update", "parameters": parameters})
    until("all items are seen", lambda: all("seen" in item for item in stack.items("things")))
    # Another execution of the same job does no harm; this one is at the end of its history.
    goes_on = {"jobId": "long", "step": {"memory": {"rounds": 499}}, "round": {}}
    machine = stack.outputs["JobStateMachineArn"]
    stack.states.start_execution(stateMachineArn=machine, name="long.0", input=json.dumps(goes_on))
    until("it goes on as another execution", lambda: stack.execution("long.0")["status"] == "SUCCEEDED")
    assert stack.execution("long.1")["status"] == "RUNNING"
    stack.dynamodb.put_item(TableName="things", Item={"id": {"S": "late"}, "count": {"N": "2"}})
    key = {"id": {"S": "late"}}
    until("a late item is seen", lambda: "seen" in stack.dynamodb.get_item(TableName="things", Key=key)["Item"])
    cancelled = stack.ask("DELETE", "/jobs/long", status=202)
    # Between two passes nobody works on it, and it ends at once.
    assert cancelled.get("cancelling") or cancelled["state"] == "cancelled", cancelled
    assert stack.ended("long")["state"] == "cancelled"
    for name in ("long", "long.1"):
        until(f"the execution {name} ends", lambda: stack.execution(name)["status"] == "SUCCEEDED", 90)


THINGS = 1000


def main():
    build, work, command = sys.argv[1:4]
    with Emulator(work) as emulator:
        try:
            begun = time.monotonic()
            things = table("things", THINGS)
            table("secrets", 3)
            parameters = {"JobTables": things}
            parameters |= {name: URL for name in ("EndpointUrl", "S3EndpointUrl", "StatesEndpointUrl")}
            stack = deploy(build, parameters)
            print(f"deployed in {time.monotonic() - begun:.0f} s")
            purchases = shop(stack)
            for name, case in [
                ("train", lambda: train(stack, purchases)),
                ("update", lambda: update(stack)),
                ("a scheduled dump", lambda: dump(stack)),
                ("the console", lambda: console(stack, command)),
                ("a batch that outlasts its function", lambda: slow(stack)),
                ("a table that is not allowed", lambda: forbidden(stack)),
                ("a long execution", lambda: long(stack)),
            ]:
                begun = time.monotonic()
                case()
                stack.nothing_is_left_over()
                print(f"ok      {name}, {time.monotonic() - begun:.0f} s", flush=True)
        except BaseException:
            with open(emulator.log, encoding="utf-8", errors="replace") as log:
                print("".join(log.readlines()[-30:]), file=sys.stderr)
            raise


if __name__ == "__main__":
    main()
