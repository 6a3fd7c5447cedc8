#!/bin/sh
# Start a DynamoDB and a Redis, wait until they answer, make the tables and seed the baseline.
#   localstack/start.sh                   LocalStack
#   localstack/start.sh dynamodb-local    AWS's DynamoDB Local
# Needs docker with compose, and bluestar-store on PATH. Safe to run again: what is there stays as it is.
set -eu

server=${1:-localstack}
case $server in
    localstack) url=http://127.0.0.1:4566 ;;
    dynamodb-local) url=http://127.0.0.1:8000 ;;
    *) echo "usage: $0 [localstack|dynamodb-local]" >&2; exit 2 ;;
esac

compose() {
    docker compose --file "$(dirname "$0")/docker-compose.yml" "$@"
}

# Tries $2... once a second, a minute long.
wait_for() {
    what=$1
    shift
    echo "Waiting for $what" >&2
    for _ in $(seq 60); do
        if "$@" >/dev/null 2>&1; then
            return
        fi
        sleep 1
    done
    echo "$what did not answer within a minute; docker compose logs says why" >&2
    exit 1
}

export BLUESTAR_PERSISTENCE_MODE=dynamo BLUESTAR_DYNAMODB_ENDPOINT_URL=$url BLUESTAR_AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
unset AWS_SESSION_TOKEN AWS_PROFILE

compose up --detach "$server" redis
wait_for "DynamoDB at $url" env BLUESTAR_MAX_ATTEMPTS=1 bluestar-store inspect
wait_for "Redis" compose exec -T redis redis-cli ping
bluestar-store create
bluestar-store seed

cat <<END

Ready. For bluestar-store and your services:

export BLUESTAR_DYNAMODB_ENDPOINT_URL=$url BLUESTAR_REDIS_URL=redis://127.0.0.1:6379/0
export BLUESTAR_AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
END
