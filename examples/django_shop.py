"""A Django project in one file: a task commits, or rolls back, with the models of its request.

Where TIDEMILL_DATABASE_URL names a database with the schema in it (`tidemill migrate`), and django
and psycopg are installed:

    python -m examples.django_shop init                    # makes the table of the orders
    python -m examples.django_shop runserver 8000
    tidemill worker examples.django_shop:app
    curl -s localhost:8000/orders -d customer=ada -d cents=500
    curl -s localhost:8000/orders -d customer=bob -d cents=0      # refused: nothing is stored

The task is enqueued on Django's own connection, whose login needs the role `tidemill_producer`.
"""

import os
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import IntegrityError, connection, models, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path

from tidemill import App

app = App()


def database() -> dict[str, Any]:
    """Return what Django wants to know of the database."""
    url = urlsplit(os.environ["TIDEMILL_DATABASE_URL"])
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.removeprefix("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": url.port or "",
    }


if not settings.configured:
    settings.configure(
        DATABASES={"default": database()},
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
        SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "for the example only"),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()


class Order(models.Model):
    """What somebody ordered."""

    customer: "models.CharField[str, str]" = models.CharField(max_length=100)
    cents: "models.IntegerField[int, int]" = models.IntegerField()
    receipt: "models.CharField[str, str]" = models.CharField(max_length=200, default="")

    class Meta:
        """Where the model belongs: this project has no apps."""

        app_label = "shop"
        constraints = (models.CheckConstraint(condition=models.Q(cents__gt=0), name="has_price"),)

    def __str__(self) -> str:
        """Return what a list shows."""
        return f"{self.customer}: {self.cents}"


@app.task(queue="mail")
def send_receipt(order: int) -> str:
    """Write the receipt; a plain function, so the ORM works here as in a view."""
    try:
        placed = Order.objects.get(pk=order)
        placed.receipt = f"{placed.customer} pays {placed.cents / 100:.2f}"
        placed.save()
        return placed.receipt
    finally:
        connection.close()  # as a request does at its end


def orders(request: HttpRequest) -> JsonResponse:
    """Place an order: its row and its task are committed together, or neither is."""
    customer, cents = request.POST.get("customer", ""), int(request.POST.get("cents", "0"))
    try:
        with transaction.atomic():
            # enqueued before the order is checked, to show that it goes when the order goes
            order = Order(pk=_next_id(), customer=customer, cents=cents)
            handle = send_receipt.using(connection=connection).enqueue_sync(order=order.pk)
            order.save(force_insert=True)
    except IntegrityError:
        return JsonResponse({"error": "an order must cost something"}, status=400)
    return JsonResponse({"order": order.pk, "task": str(handle.id)}, status=201)


def look_at(_request: HttpRequest, order: int) -> JsonResponse:
    """Show an order."""
    found = Order.objects.filter(pk=order).values("customer", "cents", "receipt").first()
    return JsonResponse(found or {"error": "no such order"}, status=200 if found else 404)


urlpatterns = [path("orders", orders), path("orders/<int:order>", look_at)]


def _next_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('shop_order', 'id'))")
        return int(cursor.fetchone()[0])


def main() -> None:
    """Make the table, or do what Django's command line does."""
    if sys.argv[1:] == ["init"]:
        with connection.schema_editor() as editor:
            editor.create_model(Order)
        print("ready")
    else:
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
