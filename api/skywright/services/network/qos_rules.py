"""Rules of QoS policies, also at paths without their policy, and the types of rules."""

from typing import Any

from sqlalchemy import select

from skywright.http import BadRequest, Conflict, Context, Forbidden, NotFound, Router, fields, paging
from skywright.http.bodies import Strict
from skywright.http.policy import on_target
from skywright.services.compute.internal import replug
from skywright.services.network import listing, qos, schemas
from skywright.services.network.qos_bodies import BODIES, columns
from skywright.services.network.qos_policies import QOS_POLICIES
from skywright.services.network.qos_rule_types import TYPES, RuleType
from skywright.services.network.qos_tables import QosPolicy, QosRule
from skywright.services.network.resource import chosen
from skywright.services.network.standard import touch

router = Router()


def register(kind: RuleType) -> None:
    """Add the routes of one type of rules."""
    name = f"{kind.name}_rule"
    many = f"{QOS_POLICIES.path}/{{policy_id}}/{name}s"
    one = many + "/{identifier}"
    attributes = {"id": QosRule.id, **{key: getattr(QosRule, column) for column, key in kind.columns.items()}}
    filters = listing.Listing(QosRule, "QosRule", columns=attributes)

    @router.operation("GET", many, policy=on_target(f"get_policy_{name}"))
    def list_all(context: Context, policy_id: str) -> dict[str, Any]:
        policy = QOS_POLICIES.find(context, policy_id)
        query = select(QosRule).where(QosRule.policy_id == policy.id, QosRule.type == kind.name)
        rows, links = filters.page(context, query, f"{name}s")
        seen = [_view(kind, row) for row in rows] if context.allows(context.rules[0], _target(policy)) else []
        return {f"{name}s": chosen(seen, listing.query_of(context))} | links

    @router.operation("POST", many, policy=on_target(f"create_policy_{name}"), status=201)
    def create(context: Context, policy_id: str, body: dict[str, Any]) -> dict[str, Any]:
        policy = QOS_POLICIES.find(context, policy_id)
        context.enforce(context.rules[0], _target(policy))
        items, bulk = schemas.one_or_many(BODIES[kind.name][0], body, name, f"{name}s")
        rows = [QosRule(type=kind.name, **_initial(kind, item)) for item in items]
        for row in rows:
            _check_single(policy, row, row.direction)
            policy.rules.append(row)
        _changed(context, policy)
        views = [_view(kind, row) for row in rows]
        return {f"{name}s": views} if bulk else {name: views[0]}

    @router.operation("GET", one, policy=on_target(f"get_policy_{name}"))
    def show(context: Context, policy_id: str, identifier: str) -> dict[str, Any]:
        return {name: _seen(context, kind, _find(context, kind, identifier, policy_id))}

    @router.operation("PUT", one, policy=on_target(f"update_policy_{name}"))
    def update(context: Context, policy_id: str, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
        return {name: _update(context, kind, _find(context, kind, identifier, policy_id), body, name)}

    @router.operation("DELETE", one, policy=on_target(f"delete_policy_{name}"), status=204)
    def delete(context: Context, policy_id: str, identifier: str) -> None:
        _delete(context, _find(context, kind, identifier, policy_id))


def register_alias(kind: RuleType) -> None:
    """Add the routes of one type of rules at paths without the policy."""
    name = f"alias_{kind.name}_rule"
    one = f"/v2.0/qos/{name}s/{{identifier}}"

    @router.operation("GET", one, policy=on_target(f"get_{name}"))
    def show(context: Context, identifier: str) -> dict[str, Any]:
        return {name: _seen(context, kind, _find(context, kind, identifier))}

    @router.operation("PUT", one, policy=on_target(f"update_{name}"))
    def update(context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
        return {name: _update(context, kind, _find(context, kind, identifier), body, name)}

    @router.operation("DELETE", one, policy=on_target(f"delete_{name}"), status=204)
    def delete(context: Context, identifier: str) -> None:
        _delete(context, _find(context, kind, identifier))


def _view(kind: RuleType, row: QosRule) -> dict[str, Any]:
    return {"id": row.id, **kind.view(row)}


def _initial(kind: RuleType, item: Strict) -> dict[str, Any]:
    """Return the columns of a new rule."""
    return {"direction": "", **{column: getattr(item, name) for column, name in kind.columns.items()}}


def _target(policy: QosPolicy) -> dict[str, Any]:
    return {"ext_parent:project_id": policy.project_id, "ext_parent:tenant_id": policy.project_id}


def _missing(identifier: str, policy_id: str) -> NotFound:
    return NotFound(f"QoS rule {identifier} for policy {policy_id} could not be found.", kind="QosRuleNotFound")


def _find(context: Context, kind: RuleType, identifier: str, policy_id: str | None = None) -> QosRule:
    """Return a rule of the type if the caller may see its policy; *policy_id* is None in paths without it."""
    if policy_id is not None:
        QOS_POLICIES.find(context, policy_id)
    query = select(QosRule).where(QosRule.id == identifier, QosRule.type == kind.name)
    row = context.db.scalar(query if policy_id is None else query.where(QosRule.policy_id == policy_id))
    if row is None:
        raise _missing(identifier, policy_id or "")
    QOS_POLICIES.find(context, row.policy_id)
    return row


def _seen(context: Context, kind: RuleType, row: QosRule) -> dict[str, Any]:
    if not context.allows(context.rules[0], _target(row.policy)):
        raise _missing(row.id, row.policy_id)
    return chosen([_view(kind, row)], listing.query_of(context))[0]


def _update(context: Context, kind: RuleType, row: QosRule, body: dict[str, Any], name: str) -> dict[str, Any]:
    context.enforce(context.rules[0], _target(row.policy))
    schemas.refuse(body.get(name), {"id"}, "Cannot update read-only attribute {}")
    values = columns(kind, schemas.one(BODIES[kind.name][1], body, name))
    if "direction" in values:
        _check_single(row.policy, row, str(values["direction"]))
    for column, value in values.items():
        setattr(row, column, value)
    _changed(context, row.policy)
    return _view(kind, row)


def _delete(context: Context, row: QosRule) -> None:
    policy = row.policy
    context.enforce(context.rules[0], _target(policy))
    policy.rules.remove(row)
    _changed(context, policy)


def _check_single(policy: QosPolicy, row: QosRule, direction: str) -> None:
    """Refuse a second rule of a type and direction."""
    for other in policy.rules:
        if other is not row and (other.type, other.direction) == (row.type, direction):
            text = f"Rule {row.type} conflicts with rule {other.id} which already exists in QoS Policy {policy.id}."
            raise Conflict(text, kind="QoSRulesConflict")


def _changed(context: Context, policy: QosPolicy) -> None:
    """Record that the rules of *policy* changed, and queue jobs for the servers that they hold for."""
    touch(policy)
    context.db.flush()
    replug(context, context.db.scalars(qos.servers_of(policy.id)))


for each in TYPES.values():
    register(each)
    if each.has_alias:
        register_alias(each)


@router.operation("GET", "/v2.0/qos/rule-types", policy="get_rule_type")
def list_rule_types(context: Context) -> dict[str, Any]:
    """Return the types; `all_supported` and `all_rules` add none, because there is one kind of switch."""
    params = listing.query_of(context)
    if unknown := [name for name in params if name not in {"all_supported", "all_rules", "fields", "limit", "marker"}]:
        raise BadRequest(f"{unknown} is invalid attribute for filtering")
    for flag in [*params.get("all_supported", ()), *params.get("all_rules", ())]:
        listing.boolean(flag)
    names, limit = list(TYPES), _limit(params.get("limit", ["0"])[-1])
    try:
        shown, _more = paging.window(names, names, marker=params.get("marker", [None])[-1], limit=limit)
    except paging.MarkerNotFound:
        raise NotFound("The resource could not be found.") from None
    return {"rule_types": chosen([{"type": name} for name in shown], params)}


def _limit(text: str) -> int | None:
    try:
        return fields.natural(text) or None
    except ValueError:
        message = f"Bad limit request: Limit must be an integer 0 or greater and not '{text}'."
        raise BadRequest(message, kind="BadRequest") from None


@router.operation("GET", "/v2.0/qos/rule-types/{rule_type}", policy="get_rule_type")
def show_rule_type(context: Context, rule_type: str) -> dict[str, Any]:
    if not context.is_admin:
        raise Forbidden("Not authorized.", kind="NotAuthorized")
    if rule_type not in TYPES:
        raise NotFound("The resource could not be found.")
    return {"rule_type": TYPES[rule_type].details()}
