"""The main calls of the API, made with the client that openapi-python-client generates.

    python client.py URL        with the folder of the package `generated` in PYTHONPATH
"""

import datetime
import sys
import time

from generated import Client
from generated.api.jobs import cancel_job, get_job, list_jobs, submit_job
from generated.api.models import list_models, set_current_model
from generated.api.products import (
    delete_product,
    delete_product_by_query,
    get_product,
    list_products,
    put_product,
    put_product_by_query,
)
from generated.api.purchases import cancel_purchase, erase_user, list_purchases, record_purchase
from generated.api.recommendations import (
    popular_products,
    recommend_for_basket,
    recommend_for_user,
    related_products,
    related_products_by_query,
)
from generated.models import (
    Answer,
    BasketAsk,
    BasketFilter,
    CategoryBoost,
    DryRun,
    Job,
    JobPage,
    JobParameters,
    JobView,
    Model,
    ModelChoice,
    ModelPage,
    Money,
    NewJob,
    NewLine,
    NewPurchase,
    PopularProductsWindow,
    Product,
    ProductBoost,
    ProductDescription,
    ProductDescriptionAttributes,
    ProductPage,
    Purchase,
    PurchasePage,
    RelatedProductsKind,
)
from generated.types import UNSET

ODD = "Käse 1/2 kg"
client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)


def checked(response, status, kind=None):
    """The answer's body, of this status and type."""
    assert response.status_code == status, (response.status_code, response.content)
    assert kind is None or isinstance(response.parsed, kind), (kind, response.parsed)
    return response.parsed


def products():
    attributes = ProductDescriptionAttributes()
    attributes["roast"] = "dark"
    espresso = ProductDescription(
        name="Espresso", categories=["Coffee"], price=Money(amount=1890, currency="EUR"), attributes=attributes
    )
    put = checked(put_product.sync_detailed("espresso", client=client, body=espresso), 201, Product)
    assert (put.product_id, put.available, put.price.amount) == ("espresso", True, 1890)
    assert put.attributes["roast"] == "dark"
    # With nothing but what is required.
    for n in range(5):
        milk = ProductDescription(name=f"Milk {n}", categories=["Milk"])
        checked(put_product.sync_detailed(f"milk-{n}", client=client, body=milk), 201, Product)
    odd = ProductDescription(name="Cheese")
    checked(put_product_by_query.sync_detailed(client=client, product_id=ODD, body=odd), 201, Product)
    one = checked(list_products.sync_detailed(client=client, product_id=ODD), 200, Product)
    assert (one.product_id, one.price) == (ODD, UNSET)
    page = checked(list_products.sync_detailed(client=client, limit=2), 200, ProductPage)
    rest = checked(list_products.sync_detailed(client=client, cursor=page.cursor), 200, ProductPage)
    assert len(page.items) == 2 and len(rest.items) == 5 and rest.cursor is UNSET
    checked(get_product.sync_detailed("espresso", client=client), 200, Product)
    missing = get_product.sync_detailed("no-such", client=client)
    assert missing.status_code == 404 and missing.parsed.code.value == "product_not_found"


def purchases():
    now = datetime.datetime.now(datetime.timezone.utc)
    for user in range(30):
        for order in range(4):
            purchase = NewPurchase(
                purchase_id=f"order-{order}",
                user_id=f"user-{user}",
                purchased_at=now - datetime.timedelta(days=7 * order + user % 5),
                lines=[
                    NewLine(product_id="espresso", quantity=1, unit_price=Money(amount=1890, currency="EUR")),
                    NewLine(product_id=f"milk-{(user + order) % 5}", quantity=2),
                ],
            )
            checked(record_purchase.sync_detailed(client=client, body=purchase), 201, Purchase)
    checked(record_purchase.sync_detailed(client=client, body=purchase), 200, Purchase)
    page = checked(list_purchases.sync_detailed("user-0", client=client, limit=3), 200, PurchasePage)
    assert len(page.items) == 3 and page.items[0].lines[0].unit_price.currency == "EUR"
    rest = checked(list_purchases.sync_detailed("user-0", client=client, cursor=page.cursor), 200, PurchasePage)
    assert [one.purchase_id for one in rest.items] == ["order-3"]
    checked(cancel_purchase.sync_detailed("user-0", "order-3", client=client), 204)
    refused = NewPurchase(purchase_id="a/b", user_id="user-0", lines=[NewLine(product_id="espresso", quantity=1)])
    problem = record_purchase.sync_detailed(client=client, body=refused)
    assert problem.status_code == 400 and problem.parsed.field == "purchaseId", problem


def ended(job_id):
    begun = time.monotonic()
    while True:
        job = checked(get_job.sync_detailed(job_id, client=client), 200, JobView)
        if job.state.value not in ("waiting", "running"):
            return job
        assert time.monotonic() - begun < 60, job
        time.sleep(0.1)


def jobs():
    tried = submit_job.sync_detailed(client=client, body=NewJob(kind="train", dry_run=True))
    assert checked(tried, 200, DryRun).estimate.cost_usd >= 0
    # All shoppers buy the same here: a ranker would learn that it says nothing of anybody.
    parameters = JobParameters()
    parameters["ranker"] = False
    training = NewJob(job_id="train-1", kind="train", parameters=parameters)
    training = submit_job.sync_detailed(client=client, body=training)
    job = checked(training, 202, Job)
    assert training.headers["location"] == "/jobs/train-1" and job.job_id == "train-1"
    view = ended("train-1")
    assert view.state.value == "succeeded", view
    assert (view.failures, view.log) == ([], []) and view.stages[0].started_at.tzinfo, view
    parameters = JobParameters()
    parameters["segments"] = 2.0
    rebuild = NewJob(kind="rebuild-history", parameters=parameters)
    other = checked(submit_job.sync_detailed(client=client, body=rebuild), 202, Job)
    assert ended(other.job_id).state.value == "succeeded"
    page = checked(list_jobs.sync_detailed(client=client, limit=1), 200, JobPage)
    assert page.items[0].job_id == other.job_id and page.cursor
    assert cancel_job.sync_detailed("train-1", client=client).status_code == 409


def models():
    page = checked(list_models.sync_detailed(client=client), 200, ModelPage)
    assert page.items[0].live and page.items[0].users == 30, page
    choice = ModelChoice(version=page.items[0].version)
    checked(set_current_model.sync_detailed(client=client, body=choice), 200, Model)


def recommendations():
    begun = time.monotonic()
    while True:
        mine = checked(recommend_for_user.sync_detailed("user-0", client=client), 200, Answer)
        # The new model is in use after a few seconds.
        if mine.model_version is not None:
            break
        assert time.monotonic() - begun < 60, mine
        time.sleep(0.2)
    assert mine.items[0].reasons[0].kind in ("boughtAgain", "boughtNext", "popular"), mine
    because = [why for item in mine.items for why in item.reasons if why.kind == "boughtAgain"]
    assert because and because[0].times >= 1 and because[0].last_purchased_at.tzinfo
    first = checked(recommend_for_user.sync_detailed("user-0", client=client, limit=2), 200, Answer)
    more = recommend_for_user.sync_detailed("user-0", client=client, limit=2, cursor=first.cursor)
    shown = [item.product_id for page in (first, checked(more, 200, Answer)) for item in page.items]
    assert len(shown) == len(set(shown)) == 4, shown
    ask = BasketAsk(
        user_id="user-1",
        basket=["espresso"],
        limit=3,
        exclude=["milk-0"],
        filter_=BasketFilter(categories=["Milk"]),
        boost=[CategoryBoost(category="Milk", factor=1.5), ProductBoost(product_id="milk-1", factor=2)],
        pin=["milk-2"],
        scenario="cart",
    )
    cart = checked(recommend_for_basket.sync_detailed(client=client, body=ask), 200, Answer)
    assert cart.items[0].product_id == "milk-2" and cart.recommendation_id.startswith("cart.")
    assert {item.product_id for item in cart.items} == {"milk-2", "milk-1", cart.items[-1].product_id}
    assert all(item.product_id not in ("espresso", "milk-0") for item in cart.items)
    checked(recommend_for_basket.sync_detailed(client=client, body=BasketAsk()), 200, Answer)
    for kind in (RelatedProductsKind.TOGETHER, RelatedProductsKind.SIMILAR, UNSET):
        checked(related_products.sync_detailed("espresso", client=client, kind=kind), 200, Answer)
    checked(related_products_by_query.sync_detailed(client=client, product_id=ODD), 200, Answer)
    popular = popular_products.sync_detailed(
        client=client, window=PopularProductsWindow.ALL, category="Milk", exclude=["milk-3", "milk-4"]
    )
    assert {item.product_id for item in checked(popular, 200, Answer).items} == {"milk-0", "milk-1", "milk-2"}
    bought = NewPurchase(
        purchase_id="led-to",
        user_id="user-1",
        lines=[NewLine(product_id="milk-2", quantity=1)],
        recommendation_id=cart.recommendation_id,
    )
    stored = checked(record_purchase.sync_detailed(client=client, body=bought), 201, Purchase)
    assert stored.recommendation_id == cart.recommendation_id


def end():
    checked(erase_user.sync_detailed("user-0", client=client), 202)
    assert checked(list_purchases.sync_detailed("user-0", client=client), 200, PurchasePage).items == []
    checked(delete_product.sync_detailed("espresso", client=client), 204)
    checked(delete_product_by_query.sync_detailed(client=client, product_id=ODD), 204)


for part in (products, purchases, jobs, models, recommendations, end):
    part()
    print(f"python client: {part.__name__}")
