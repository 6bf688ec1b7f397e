# For every node and every job of the cluster, by `. cluster/environment.sh`: where things are, and how they are reached.
# EDIT the two addresses. What is set already stands.

export REID_SHARED="${REID_SHARED:-/shared/reid}"  # the checkout, at the same path on every machine
export REID_HEAD="${REID_HEAD:-10.0.0.1}"          # the head, on the network between the machines

export PATH="$REID_SHARED/.venv/bin:$PATH"
export PYTHONPATH="$REID_SHARED"
export MLFLOW_TRACKING_URI="${MLFLOW_TRACKING_URI:-http://$REID_HEAD:5000}"

# Whoever reaches a Ray cluster that asks for no token can run anything on it.
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}"
export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-$REID_SHARED/.ray_auth_token}"

# The interface between the machines, where one has several, or where its name resolves to 127.0.0.1.
# export GLOO_SOCKET_IFNAME=eth0 NCCL_SOCKET_IFNAME=eth0

# Nothing is reported to the makers of Ray, MLflow and DVC.
export RAY_USAGE_STATS_ENABLED=0 MLFLOW_DISABLE_TELEMETRY=true DVC_NO_ANALYTICS=1
export RAY_ENABLE_UV_RUN_RUNTIME_ENV=0
export RAY_TRAIN_ENABLE_PREEMPTION_WATCHER=0 RAY_TRAIN_HEALTH_CHECK_INTERVAL_S=0.1
