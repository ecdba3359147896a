#!/bin/sh
# Holds what `contain` writes for the sample account (tests/data/contain) against other people's validators, offline.
# They are installed once into target/validate. LocalStack's engine pins old libraries, so it has a place of its own.
set -eu
root=$(realpath "$(dirname "$0")/../..")
place=${FLOWTRAIL_VALIDATE:-$root/target/validate}
if [ ! -x "$place/models/bin/cfn-lint" ]; then
    python3 -m venv "$place/models"
    "$place/models/bin/pip" install -q parliament 'moto[iam]' cfn-lint boto3
fi
if [ ! -x "$place/events/bin/python" ] || ! "$place/events/bin/python" -c 'import localstack.services.events' 2>/dev/null; then
    python3 -m venv "$place/events"
    "$place/events/bin/pip" install -q 'localstack-core[base-runtime]'
fi
data=$root/tests/data/contain
"$place/models/bin/python" "$root/tests/validate/policies.py" "$data"
"$place/models/bin/python" "$root/tests/validate/lines.py" "$data"
"$place/events/bin/python" "$root/tests/validate/patterns.py" "$data"
