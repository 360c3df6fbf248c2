"""Notifications: what happens in the cloud, published for programs outside of it, in the envelope of oslo.messaging."""

from kilonova.core.notify.envelope import Notification
from kilonova.core.notify.notifier import Notifier
from kilonova.core.notify.options import NotificationOptions
from kilonova.core.notify.publishers import LogPublisher, Publisher

__all__ = ["LogPublisher", "Notification", "NotificationOptions", "Notifier", "Publisher", "open_notifier"]


def open_notifier(options: NotificationOptions, bus_url: str) -> Notifier:
    """As the settings say; without a broker, notifications go to the log. Connects when there is something to send. Raises
    ValueError."""
    url = options.url or bus_url
    if not options.formats or url.startswith("memory"):
        return Notifier(options, LogPublisher())
    if url.partition(":")[0] not in ("amqp", "amqps"):
        raise ValueError(f"[notifications] url: {url.partition(':')[0]}:// is no broker's; known: amqp://, amqps://")
    from kilonova.core.notify.rabbit import RabbitPublisher  # here, so that others load no broker's client

    return Notifier(options, RabbitPublisher(url, options.exchange, options.queues))
