"""What openapi.yaml cannot say, so that schemathesis does not take it for a fault.

docs/API.md lists these findings with their reasons. Every other refusal of valid data is a failure.
"""

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance, use_after_free


def is_deliberate(case, problem):
    """Whether the problem is about a rule that no schema holds."""
    code, field, detail = (problem.get(name) or "" for name in ("code", "field", "detail"))
    query = case.query or {}
    return (
        # A cursor is opaque: only the API makes one, for one list.
        code == "invalid_cursor"
        # What depends on the clock.
        or field == "purchasedAt"
        # RFC 3339 also has years before 1970.
        or (field == "at" and "1970" in detail)
        # JSON Schema counts characters, and the limits are of bytes.
        or "bytes" in detail
        # The kinds of job have parameters of their own.
        or (case.operation.label == "POST /jobs" and (field == "kind" or field.startswith("parameters")))
        # An id that another job has.
        or (field == "jobId" and "another job" in detail)
        # One product, or a page of them.
        or (case.operation.label == "GET /products" and "productId" in query and len(query) > 1)
        # The excluded products of the body and of its filter are counted together.
        or (field == "exclude" and "at most 100" in detail)
    )


# Cursors that answers gave.
given = set()


@schemathesis.hook
def after_call(context, case, response):
    if "application/json" in response.headers.get("content-type", [""])[0] and response.content:
        body = response.json()
        if isinstance(body, dict) and isinstance(body.get("cursor"), str):
            given.add(body["cursor"])


@schemathesis.hook
def before_call(context, case, kwargs):
    """A made-up cursor is refused, whatever else is asked for: in a valid request, it would hide everything else."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    for parameters in (case.query, case.body):
        if isinstance(parameters, dict) and parameters.get("cursor") not in given:
            parameters.pop("cursor", None)


@schemathesis.check
def valid_requests_are_accepted(ctx, response, case):
    if response.status_code == 400 and "problem+json" in response.headers.get("content-type", [""])[0]:
        if is_deliberate(case, response.json()):
            return None
    return positive_data_acceptance(ctx, response, case)


@schemathesis.check
def what_was_deleted_is_gone(ctx, response, case):
    # To delete a job is to cancel it: it stays to be looked at.
    if case.operation.path.startswith("/jobs"):
        return None
    return use_after_free(ctx, response, case)
