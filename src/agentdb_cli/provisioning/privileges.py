"""Schemas, grants and default privileges within the database of a setup."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.provisioning.model import LeftOut, Plan, Step, Wanted

HISTORY = "agentdb_migrations"
"""The record of applied migrations, which applications read at most."""

_TABLES = {"app": ("SELECT", "INSERT", "UPDATE", "DELETE"), "readonly": ("SELECT",)}
_SEQUENCES = {"app": ("USAGE", "SELECT"), "readonly": ("SELECT",)}
_OBJECTS = {"r": "TABLES", "S": "SEQUENCES", "n": "SCHEMAS"}


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema; the fields are those of sql/provisioning/schemas.sql."""

    name: str
    owned: bool
    manageable: bool
    owner_creates: bool
    public_creates: bool
    usable_by: list[str]


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or sequence of the owner's.

    Attributes:
        is_identity: whether it is the sequence of an identity column, to whose rows one needs
            no privilege on it.
    """

    schema: str
    name: str
    is_sequence: bool
    is_identity: bool
    granted: list[str]

    def granted_to(self, role: str) -> set[str]:
        """The privileges that a role was given on it."""
        pairs = (pair.rpartition("\t") for pair in self.granted)
        return {privilege for name, _, privilege in pairs if name == role}


@dataclass(frozen=True, slots=True)
class LargeObjects:
    """A function that makes large objects."""

    name: str
    for_public: bool
    for_owner: bool
    manageable: bool


@dataclass(frozen=True, slots=True)
class Inside:
    """What a database holds that a setup looks at.

    Attributes:
        defaults: default privileges, as (kind of object, role, privilege).
    """

    schemas: tuple[Schema, ...]
    relations: tuple[Relation, ...] = ()
    defaults: frozenset[tuple[str, str, str]] = frozenset()
    large_objects: tuple[LargeObjects, ...] = ()


def read(connection: Connection, wanted: Wanted) -> Inside:
    """Look into the database of a connection."""
    values = {"owner": wanted.owner, "users": list(wanted.users.values())}

    with connection.cursor(row_factory=class_row(Schema)) as cursor:
        schemas = cursor.execute(query("provisioning/schemas").encode(), values).fetchall()
    with connection.cursor(row_factory=class_row(Relation)) as cursor:
        relations = cursor.execute(query("provisioning/relations").encode(), values).fetchall()
    with connection.cursor(row_factory=class_row(LargeObjects)) as cursor:
        large = cursor.execute(query("provisioning/large_objects").encode(), values).fetchall()
    rows = connection.execute(query("provisioning/defaults").encode(), values)
    defaults = frozenset((str(kind), str(role), str(right)) for kind, role, right in rows)
    return Inside(tuple(schemas), tuple(relations), defaults, tuple(large))


def of_new_database(connection: Connection, wanted: Wanted, *, superuser: bool) -> Inside:
    """What a database holds that is still to be made, for a dry run."""
    since_15 = connection.info.server_version >= 150_000
    public = Schema(
        "public",
        owned=False,
        manageable=superuser or since_15,
        owner_creates=True,
        public_creates=not since_15,
        usable_by=list(wanted.users.values()),
    )
    names = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid,bytea)")
    large = (LargeObjects(name, True, True, superuser) for name in names)
    return Inside((public,), large_objects=tuple(large))


def plan(wanted: Wanted, inside: Inside) -> Plan:
    """What gives each role what it is to have, and PUBLIC nothing."""
    steps: list[Step] = []
    left_out: list[LeftOut] = []
    _public_schema(wanted, inside, steps, left_out)
    steps += _defaults(wanted, inside)  # before the schema, which they are to cover
    if wanted.schema and all(schema.name != wanted.schema for schema in inside.schemas):
        steps.append(
            Step(
                f"create the schema {wanted.schema}",
                f"CREATE SCHEMA {identifier(wanted.schema)}"
                f" AUTHORIZATION {identifier(wanted.owner)}",
            )
        )
    steps += _usage(wanted, inside)
    steps += _relations(wanted, inside)
    _large_objects(wanted, inside, steps, left_out)
    return Plan(tuple(steps), tuple(left_out))


def _public_schema(
    wanted: Wanted, inside: Inside, steps: list[Step], left_out: list[LeftOut]
) -> None:
    public = next((schema for schema in inside.schemas if schema.name == "public"), None)
    if public is None:
        return
    owner = identifier(wanted.owner)
    pending = []
    if not public.owner_creates or public.public_creates:
        # Until 14 the owner creates in public only because everybody may.
        pending.append(
            Step(
                f"let {wanted.owner} create in public",
                f"GRANT USAGE, CREATE ON SCHEMA public TO {owner}",
            )
        )
    if public.public_creates:
        pending.append(
            Step(
                "let nobody else create in public",
                "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            )
        )
    if public.manageable:
        steps += pending
    elif pending:
        left_out.append(
            LeftOut(
                "every role may create in the schema public, which belongs to another role",
                "as its owner: " + "; ".join(step.sql for step in pending),
            )
        )


def _defaults(wanted: Wanted, inside: Inside) -> Iterator[Step]:
    """What the owner makes from now on is granted at once, in later schemas, too."""
    owner = identifier(wanted.owner)
    for kind, role in wanted.users.items():
        rights = {"n": ("USAGE",), "r": _TABLES[kind], "S": _SEQUENCES[kind]}
        for object_kind, privileges in rights.items():
            if all((object_kind, role, each) in inside.defaults for each in privileges):
                continue
            objects = _OBJECTS[object_kind]
            yield Step(
                f"let {role} use later {objects.lower()} of {wanted.owner}",
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner}"
                f" GRANT {', '.join(privileges)} ON {objects} TO {identifier(role)}",
            )


def _usage(wanted: Wanted, inside: Inside) -> Iterator[Step]:
    for schema in inside.schemas:
        if not (schema.owned or schema.name == "public") or not schema.manageable:
            continue
        for kind, role in wanted.users.items():
            declared = _declared(wanted, kind)
            closed = schema.name in _schemas_of_pack(wanted) and schema.name not in declared
            if not closed and role not in schema.usable_by:
                yield Step(
                    f"let {role} use the schema {schema.name}",
                    f"GRANT USAGE ON SCHEMA {identifier(schema.name)} TO {identifier(role)}",
                )
            if closed and role in schema.usable_by:
                yield Step(
                    f"keep {role} out of the schema {schema.name}",
                    f"REVOKE USAGE ON SCHEMA {identifier(schema.name)} FROM {identifier(role)}",
                )


def _relations(wanted: Wanted, inside: Inside) -> Iterator[Step]:
    """Grants and revocations on what exists, those alike in one statement."""
    found: defaultdict[tuple[str, str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for relation in inside.relations:
        name = f"{identifier(relation.schema)}.{identifier(relation.name)}"
        what = "SEQUENCE" if relation.is_sequence else "TABLE"
        for kind, role in wanted.users.items():
            rights, exact = _rights(wanted, kind, relation)
            granted = relation.granted_to(role)
            if missing := tuple(each for each in rights if each not in granted):
                found["GRANT", role, what, missing].append(name)
            if exact and (surplus := tuple(sorted(granted - set(rights)))):
                found["REVOKE", role, what, surplus].append(name)
    for (verb, role, what, privileges), names in found.items():
        count = f"{len(names)} {what.lower()}{'' if len(names) == 1 else 's'}"
        given = "grant" if verb == "GRANT" else "take back"
        direction = "TO" if verb == "GRANT" else "FROM"
        yield Step(
            f"{given} {', '.join(privileges)} on {count}, role {role}",
            f"{verb} {', '.join(privileges)} ON {what} {', '.join(names)}"
            f" {direction} {identifier(role)}",
        )


def _rights(wanted: Wanted, kind: str, relation: Relation) -> tuple[Sequence[str], bool]:
    """What a role is to have on a relation, and whether it is to have nothing more."""
    if relation.name == HISTORY:
        return ("SELECT",), True
    if relation.schema in _schemas_of_pack(wanted) and kind in wanted.pack_roles:
        role = wanted.pack_roles[kind]
        if relation.is_sequence:
            opened = relation.schema in _declared(wanted, kind)
            return _on_sequence(kind, opened=opened), not relation.is_identity
        given = role.get("tables", {}).get(f"{relation.schema}.{relation.name}")
        return given or role["schemas"].get(relation.schema, ()), True
    if relation.is_identity:
        return _on_sequence(kind, opened=True), False
    return (_SEQUENCES if relation.is_sequence else _TABLES)[kind], False


def _on_sequence(kind: str, *, opened: bool) -> Sequence[str]:
    """On a sequence that nobody calls: agentdb health reads how far it has come."""
    return ("SELECT",) if kind == "readonly" and opened else ()


def _declared(wanted: Wanted, kind: str) -> set[str]:
    """The schemas that the pack lets a kind of role use; all of its own if it says nothing."""
    if kind not in wanted.pack_roles:
        return _schemas_of_pack(wanted)
    role = wanted.pack_roles[kind]
    return {*role["schemas"], *(name.partition(".")[0] for name in role.get("tables", {}))}


def _schemas_of_pack(wanted: Wanted) -> set[str]:
    """The schemas for which the pack says who may do what."""
    return {
        name
        for role in wanted.pack_roles.values()
        for name in (*role["schemas"], *(t.partition(".")[0] for t in role.get("tables", {})))
    }


def _large_objects(
    wanted: Wanted, inside: Inside, steps: list[Step], left_out: list[LeftOut]
) -> None:
    """Keep roles from filling the disk with large objects, which no grant on a table covers."""
    opened = [each for each in inside.large_objects if each.for_public]
    if any(not each.manageable for each in opened):
        left_out.append(
            LeftOut(
                "every role may make large objects here, and only a superuser can change that",
                "as a superuser: "
                + "; ".join(f"REVOKE EXECUTE ON FUNCTION {o.name} FROM PUBLIC" for o in opened),
                fails=False,
            )
        )
        return
    for each in inside.large_objects:
        function = f"FUNCTION pg_catalog.{each.name}"
        if each.manageable and (each.for_public or not each.for_owner):
            steps.append(
                Step(
                    f"let {wanted.owner} make large objects, {each.name}",
                    f"GRANT EXECUTE ON {function} TO {identifier(wanted.owner)}",
                )
            )
        if each.for_public:
            steps.append(
                Step(
                    f"let nobody else make large objects, {each.name}",
                    f"REVOKE EXECUTE ON {function} FROM PUBLIC",
                )
            )
