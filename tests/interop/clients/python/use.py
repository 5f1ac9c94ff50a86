"""A client generated for Python: submits, reads the receipt, collects, verifies, runs a batch.

use.py URL CALL UUID...: CALL is a file with an unsigned vCon; of each UUID a call of its own is made.
"""

import json
import os
import sys

import openapi_client as api
from openapi_client.rest import ApiException

url, path, first, *others = sys.argv[1:]
with open(path) as file:
    call = json.load(file)
client = api.ApiClient(api.Configuration(host=url, access_token=os.environ["AFFIANT_TOKEN"]))
records, verification = api.RecordsApi(client), api.VerificationApi(client)


def of(uuid):
    return {**call, "uuid": uuid}


def check(what, holds):
    print(f"{'ok' if holds else 'FAILED'} client python: {what}")


receipt = records.submit(request_body=of(first))
check("submitted", receipt.status == api.Durability.INCLUDED and receipt.uuid == first and not receipt.repeated)
check("the receipt is read again", records.read_receipt(receipt.record).index == receipt.index)
check("the record is read", len(records.read(first).signatures) == 1)
bundle = records.bundle(receipt.record)
check("the bundle is collected", bytes(bundle[:2]) == b"PK")

# The generated client takes the first type with "json" in its name for its own.
report = verification.verify(record=("bundle.zip", bytes(bundle)), recording=[("other.wav", b"other")],
                             _content_type="multipart/form-data")
check("the bundle verifies", report.ledger.status == "INCLUDED" and report.rows[0].answer == "yes")
check("the recording is judged", [one.file for one in report.recordings if one.file] == ["other.wav"])

# Again: whatever has "json" in its name would be sent as one JSON value.
lines = "\n".join([*(json.dumps(of(uuid)) for uuid in others), "{}"])
answer = records.batches(body=lines, _content_type="application/octet-stream")
results = [api.BatchLine.from_json(line) for line in bytes(answer).decode().splitlines()]
check("a batch has a line for each", [one.line for one in results] == list(range(1, len(others) + 2)))
check("its receipts are typed", [one.receipt.uuid for one in results[:-1]] == others)
check("its problem is typed", results[-1].problem.status == 422 and results[-1].receipt is None)

try:
    records.read_receipt("sha256-" + "A" * 43)
    check("what is not there is a problem", False)
except ApiException as error:
    check("what is not there is a problem", error.status == 404 and error.data.type == "urn:affiant:problem:not-found")
