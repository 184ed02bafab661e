"""Cards about the service itself: its documents, its refusals, its limits, and an add-on that is away."""

from tests.contract.agreement.asking import Http, ask, fits, get, has, holds, lacks, same, some, succeeds
from tests.contract.agreement.deck import At, Differs, When, card

CALLED = (
    "/accounts", "/accounts/snapshot", "/positions", "/orders", "/strategies", "/atm-templates", "/market/quote",
    "/market/info", "/market/bars", "/positions/flatten", "/orders/cancelall",
)  # fmt: skip


@card(100, "endpoints 7", "agents")
async def the_service_lists_its_routes(http: Http, _: At) -> None:
    """`/_endpoints` is JSON and names every route; those that we take for granted are among them."""
    text = (await http.get("/_endpoints")).text
    same([path for path in CALLED if f'/v1/api{path}"' not in text], [], "routes that are missing:")


@card(101, "endpoints 7", "agents")
async def the_service_describes_itself(http: Http, _: At) -> None:
    """`/openapi.json` is an OpenAPI 3.1 description with paths."""
    answer = await get(http, "/openapi.json")
    fits(answer["openapi"], r"3\.1\.\d")
    holds(fact=len(answer["paths"]) >= 30, expected="thirty paths or more", came=len(answer["paths"]))


@card(102, "endpoints 7", "agents")
async def the_service_has_texts_for_models(http: Http, _: At) -> None:
    """`openapi.yaml`, `llms.txt` and `llms-full.txt` are there."""
    statuses = {(await http.get(f"/{name}")).status_code for name in ("openapi.yaml", "llms.txt", "llms-full.txt")}
    same(statuses, {200}, "statuses")


@card(103, "endpoints 7", "agents")
async def a_wrong_path_is_told_the_right_one(http: Http, _: At) -> None:
    """A path that does not exist is answered with 404 in JSON, and `did_you_mean`."""
    has(await get(http, "/market/qoute", 404), "error", "did_you_mean")


@card(104, "platform, path and auth", "doc-new")
async def a_wrong_prefix_meets_a_web_page(http: Http, _: At) -> None:
    """Without `/v1` it is not the API that answers, but a web page or a redirect."""
    answer = await http.get(http.base_url.copy_with(raw_path=b"/api/accounts"))
    kind = answer.headers.get("content-type", "")
    holds(fact=not kind.startswith("application/json"), expected="no JSON", came=kind)


@card(105, "platform, envelope and errors", "doc-new")
async def a_wrong_token_is_refused(http: Http, _: At) -> None:
    """A token that is not valid is answered with 401 and an error."""
    has(await ask(http, "GET", "/accounts", status=401, headers={"Authorization": "Bearer not-a-token"}), "error")


@card(106, "platform, path and auth", "doc-new")
async def a_missing_token_is_refused(http: Http, _: At) -> None:
    """Without a token the answer is 401, and not a page to log in."""
    has(await ask(http, "GET", "/accounts", status=401, headers={"Authorization": ""}), "error")


@card(107, "platform, envelope and errors", "doc-new")
async def a_refusal_is_json_with_an_error(http: Http, _: At) -> None:
    """A refusal has a text under `error`, and no `success: true` beside it."""
    answer = await get(http, "/accounts/NoSuchAccount0", 400)
    holds(fact=isinstance(answer.get("error"), str), expected="a text under error", came=answer)
    lacks(answer, "message")
    same(answer.get("success", False), False, "success")


@card(108, "field-notes 11", "field")
async def there_is_no_route_to_delete_an_order(http: Http, at: At) -> None:
    """An order is cancelled by POST; its path has no other method than GET."""
    described = (await get(http, "/openapi.json"))["paths"]
    mine = [path for path in described if path.endswith(("/orders/{orderId}", "/orders/{order_id}"))]
    same(sorted(described[some(mine, "path of one order")]), ["get"], "methods")


@card(109, "field-notes 11", "field")
async def a_status_in_the_query_is_ignored(http: Http, at: At) -> None:
    """`?status=` is no filter of orders: the list is the one without it."""
    plain = await get(http, f"{at.home}/orders?activeOnly=false")
    filtered = await get(http, f"{at.home}/orders?activeOnly=false&status=REJECTED")
    same([row["id"] for row in filtered["orders"]], [row["id"] for row in plain["orders"]], "the same orders:")


@card(110, "platform, what must be running", "field", when=When.OFFLINE)
async def without_the_addon_the_answer_is_408(http: Http, _: At) -> None:
    """While NinjaTrader or the add-on is away, a read is answered with 408 and `Client not ready`."""
    answer = await get(http, "/accounts", 408)
    same((answer.get("success"), answer.get("error")), (False, "Client not ready"), "success and error")


@card(111, "endpoints 1.4", "doc-mid", when=When.OFFLINE)
async def watermarks_need_no_addon(http: Http, at: At) -> None:
    """Watermarks are answered by the service itself, also while the add-on is away."""
    same((await get(http, f"{at.home}/watermarks")).get("success"), True, "success")


@card(112, "platform, what must be running", "doc-new", when=When.OFFLINE)
async def documents_need_no_addon(http: Http, _: At) -> None:
    """The list of routes is there also while the add-on is away."""
    same((await http.get("/_endpoints")).status_code, 200, "status")


@card(113, "platform, rate limits", "doc-new", when=When.CROWDED)
async def the_twenty_first_request_at_once_is_too_many(http: Http, _: At) -> None:
    """Twenty requests pass at once, and one more is answered with 429, `rate_limited` and a time to wait."""
    statuses = [(await http.get("/accounts")).status_code for _ in range(20)]
    same(statuses, [200] * 20, "the first twenty:")
    answer = await http.get("/accounts")
    same((answer.status_code, answer.json()["error"]), (429, "rate_limited"), "status and error")
    has(answer.json(), "retryAfter")
    has(answer.headers, "Retry-After")


@card(114, "platform, rate limits", "doc-new", when=When.CROWDED)
async def three_requests_a_second_come_back(http: Http, at: At) -> None:
    """When the budget is used up, three requests come back in a second."""
    while (await http.get("/accounts")).status_code == 200:
        pass
    await at.pause(1)
    statuses = [(await http.get("/accounts")).status_code for _ in range(4)]
    same(statuses, [200, 200, 200, 429], "statuses a second later")


@card(115, "platform, envelope and errors", "doc-new", when=When.WARNED)
async def a_warning_stands_beside_success(http: Http, at: At) -> None:
    """An answer may say `success: true` and carry a text under `warning`."""
    answer = await get(http, f"{at.home}/positions")
    succeeds(answer)
    if not isinstance(answer.get("warning"), str):
        raise Differs("a text under warning", answer)
