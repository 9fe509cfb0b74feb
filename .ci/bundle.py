"""Checks a signature in sigstore's form with others' libraries: bundle.py BUNDLE KEY.pem sha256:DIGEST PREDICATE_TYPE."""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from sigstore_models.bundle.v1 import Bundle

path, pem, digest, predicate_type = sys.argv[1:]
with open(path, "rb") as file:
    text = file.read()
with open(pem, "rb") as file:
    public = load_pem_public_key(file.read())

# The form, by the model of sigstore's protobuf specifications.
bundle = Bundle.from_json(text)
assert bundle.media_type == "application/vnd.dev.sigstore.bundle.v0.3+json", bundle.media_type
info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
hint = base64.b64encode(hashlib.sha256(info).digest()).decode()
assert bundle.verification_material.public_key.hint == hint

# The signature, by in-toto's library, which wants a name for the key.
envelope = json.loads(text)["dsseEnvelope"]
for signature in envelope["signatures"]:
    signature["keyid"] = hint
key = SSlibKey.from_crypto(public, keyid=hint)
assert Envelope.from_dict(envelope).verify([key], 1) == {hint: key}

statement = json.loads(base64.b64decode(envelope["payload"]))
assert statement["_type"] == "https://in-toto.io/Statement/v1"
assert statement["subject"] == [{"digest": {"sha256": digest.removeprefix("sha256:")}}], statement["subject"]
assert statement["predicateType"] == predicate_type, statement["predicateType"]
