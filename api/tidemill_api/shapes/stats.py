"""Figures as JSON."""

from typing import Any

from tidemill.models import Counts, QueueStats, Stats

Json = dict[str, Any]


def stats_json(stats: Stats) -> Json:
    """Return the figures of the system, and of each queue under `queues`."""
    return {**_counts(stats.counts), "queues": [queue_stats_json(each) for each in stats.queues]}


def queue_stats_json(each: QueueStats) -> Json:
    """Return the figures of a queue."""
    return {
        "queue": each.queue,
        "paused": each.paused,
        **_counts(each.counts),
        "oldest_queued_seconds": each.oldest_queued_seconds,
        "enqueued_per_second": each.enqueued_per_second,
        "finished_per_second": each.finished_per_second,
    }


def _counts(counts: Counts) -> Json:
    return {
        "total_tasks": counts.total_tasks,
        "queued_tasks": counts.queued_tasks,
        "scheduled_tasks": counts.scheduled_tasks,
        "running_tasks": counts.running_tasks,
        "succeeded_tasks": counts.succeeded_tasks,
        "failed_tasks": counts.failed_tasks,
        "cancelled_tasks": counts.cancelled_tasks,
        "avg_retry_count": counts.avg_retry_count,
        "tasks_with_retries": counts.tasks_with_retries,
    }
