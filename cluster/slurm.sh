#!/usr/bin/env bash
# `dvc repro` on any number of machines that Slurm gives, from a checkout that all of them mount (docs/cluster.md):
#
#   sbatch --nodes=2 cluster/slurm.sh                                   all stages
#   sbatch --nodes=2 --gpus-per-node=4 cluster/slurm.sh evaluate@mdpr   one stage, and what it needs
#   sbatch --array=0-1 cluster/slurm.sh study baseline mdpr             `reid study`, each row in a job of its own
#
# Ahead of the time limit, or of preemption, Slurm signals this script. The training then saves its step, and the job is
# queued again under its number. EDIT: add what your site asks for, as --partition, --account and --time; what is given
# to sbatch comes first.
#
# Ray's symmetric-run refuses a machine on which a Ray runs, and ends every Ray of its user: hence whole machines.
#SBATCH --job-name=reid
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300

set -euo pipefail

fail() {
	echo "error: $1" >&2
	exit 2
}

# Ends the work as soon as $run/stop is there, which the training's machine sees wherever Slurm has signalled.
ask_to_stop() {
	local asked=$1 whom=$work one
	[ "$kind" = study ] || whom=$(pgrep -P "$work" || true) # DVC ends by itself when its stage has
	for one in $whom; do
		case $asked in
		*" $one "*) ;; # a second signal would not let it save
		*)
			kill -TERM "$one" 2>/dev/null || true
			asked+=" $one "
			;;
		esac
	done
	echo "$asked"
}

# On the head, by ray symmetric-run: a SIGTERM to that kills what it runs, so the wish to stop comes as a file.
work_on_head() {
	local kind=$1 work asked="" status=0
	shift
	cd "$REID_SHARED"
	if [ "$kind" = study ]; then
		python -m stages study "$@" &
	else
		SHELL=$BASH dvc repro "$@" & # which the stage's process replaces
	fi
	work=$!
	while kill -0 "$work" 2>/dev/null; do
		[ ! -e "$run/stop" ] || asked=$(ask_to_stop "$asked")
		sleep 1
	done
	wait "$work" || status=$?
	if [ -e "$run/stop" ]; then # trainings of a study save when they see that it is gone
		while pgrep -f "$REID_SHARED/.venv/bin/python -m stages" >/dev/null; do sleep 1; done
	else
		python -m pipeline.tracking.recorder || true
	fi
	echo "$status" >"$run/status.new"
	mv "$run/status.new" "$run/status"
	exit "$status"
}

if [ "${1-}" = --on-head ]; then
	run=$2
	work_on_head "${@:3}"
fi

[ -n "${SLURM_JOB_ID-}" ] || fail "expected to be started by Slurm, and there is no job: sbatch --nodes=2 cluster/slurm.sh"
export REID_SHARED=$SLURM_SUBMIT_DIR
[ -f "$REID_SHARED/cluster/environment.sh" ] || fail "expected the project in $REID_SHARED, where sbatch was called: call it there"

kind=repro
if [ "${1-}" = study ]; then
	kind=study
	shift
fi
if [ -n "${SLURM_ARRAY_TASK_ID-}" ]; then
	[ "$kind" = study ] || fail "an array is for a study, and this is none: sbatch --array=0-1 cluster/slurm.sh study ROW ROW"
	rows=("$@")
	[ "$SLURM_ARRAY_TASK_ID" -lt $# ] || fail "task $SLURM_ARRAY_TASK_ID of the array has no row among the $# of $*: --array=0-$(($# - 1))"
	set -- "${rows[$SLURM_ARRAY_TASK_ID]}"
fi

# This script runs on the first machine, which is the head.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${first%%$'\n'*}
REID_HEAD=$(getent ahostsv4 "$first" | awk 'NR == 1 {print $1}' || true)
case $REID_HEAD in
"" | 127.*) REID_HEAD=$(hostname -I | awk '{print $1}') ;;
esac
[ -n "$REID_HEAD" ] || fail "no address was found for $first, the first machine: ask those who run it"
export REID_HEAD RAY_ADDRESS="$REID_HEAD:$((20000 + SLURM_JOB_ID % 10000))"
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT="${RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT:-300}"
# shellcheck source=cluster/environment.sh
. "$REID_SHARED/cluster/environment.sh"

if [ "$MLFLOW_TRACKING_URI" = "http://$REID_HEAD:5000" ]; then
	echo "no tracking server is named, so nothing is recorded: export MLFLOW_TRACKING_URI before sbatch" >&2
	export REID_TRACKING=off
fi
if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then # whole at once: other jobs may look
	token=$(mktemp "$RAY_AUTH_TOKEN_PATH.XXXXXX")
	python -c 'import secrets; print(secrets.token_hex(32))' >"$token"
	ln "$token" "$RAY_AUTH_TOKEN_PATH" 2>/dev/null || true
	rm "$token"
fi

run=$REID_SHARED/.runs/slurm-$SLURM_JOB_ID
rm -rf "$run"
mkdir -p "$run"
trap 'rm -rf "$run"' EXIT
trap 'touch "$run/stop"' USR1

echo "job $SLURM_JOB_ID: $SLURM_JOB_NUM_NODES machines, head $first ($RAY_ADDRESS)"
srun --export=ALL --ntasks-per-node=1 --cpu-bind=none --kill-on-bad-exit=0 \
	ray symmetric-run --address "$RAY_ADDRESS" --min-nodes "$SLURM_JOB_NUM_NODES" \
	--num-cpus="$SLURM_CPUS_ON_NODE" --object-store-memory=200000000 --dashboard-host="$REID_HEAD" \
	-- bash "$REID_SHARED/cluster/slurm.sh" --on-head "$run" "$kind" "$@" &
step=$!
while kill -0 "$step" 2>/dev/null; do sleep 1; done

status=none
[ ! -f "$run/status" ] || status=$(<"$run/status")
if [ "$status" = 0 ]; then
	exit 0
elif [ -e "$run/stop" ]; then
	echo "job $SLURM_JOB_ID: stopped ahead of its end, queued again"
	scontrol requeue "$SLURM_JOB_ID" || fail "Slurm does not queue this job again: the same sbatch goes on from where it was"
elif [ "$status" = none ]; then
	fail "Ray did not start on all $SLURM_JOB_NUM_NODES machines, or was ended: see what it says above"
else
	exit "$status"
fi
