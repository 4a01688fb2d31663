//! The lists that vetting goes by: parts of a parse, types, collations. What is
//! on none is refused. It must never know where in a statement a thing stands.

use serde_json::Value;

use super::ast::text;
use super::vet::forbidden;
use crate::error::EngineError;

pub(super) const EXPRESSIONS: [&str; 16] = [
    "COLUMN_REF",
    "CONSTANT",
    "FUNCTION",
    "COMPARISON",
    "CONJUNCTION",
    "OPERATOR",
    "CAST",
    "CASE",
    "BETWEEN",
    "SUBQUERY",
    "STAR",
    "LAMBDA",
    "WINDOW",
    "COLLATE",
    "PARAMETER",
    "POSITIONAL_REFERENCE",
];
pub(super) const OPERATORS: [&str; 13] = [
    "OPERATOR_NOT",
    "OPERATOR_IS_NULL",
    "OPERATOR_IS_NOT_NULL",
    "OPERATOR_COALESCE",
    "OPERATOR_TRY",
    "OPERATOR_UNPACK",
    "COMPARE_IN",
    "COMPARE_NOT_IN",
    "ARRAY_EXTRACT",
    "ARRAY_SLICE",
    "STRUCT_EXTRACT",
    "ARRAY_CONSTRUCTOR",
    "GROUPING_FUNCTION",
];
/// Query nodes, what stands in FROM, modifiers, orders and the parts of types.
pub(super) const PARTS: [&str; 25] = [
    "SELECT_NODE",
    "SET_OPERATION_NODE",
    "RECURSIVE_CTE_NODE",
    "CTE_NODE",
    "BASE_TABLE",
    "JOIN",
    "SUBQUERY",
    "TABLE_FUNCTION",
    "EMPTY",
    "EXPRESSION_LIST",
    "ORDER_MODIFIER",
    "LIMIT_MODIFIER",
    "LIMIT_PERCENT_MODIFIER",
    "DISTINCT_MODIFIER",
    "ORDER_DEFAULT",
    "ASCENDING",
    "DESCENDING",
    "DECIMAL_TYPE_INFO",
    "STRING_TYPE_INFO",
    "LIST_TYPE_INFO",
    "STRUCT_TYPE_INFO",
    "ARRAY_TYPE_INFO",
    "UNBOUND_TYPE_INFO",
    "EXTRA_TYPE_INFO",
    "GENERIC_TYPE_INFO",
];
pub(super) const TYPES: [&str; 37] = [
    "NULL",
    "SQLNULL",
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "VARCHAR",
    "BLOB",
    "BIT",
    "UUID",
    "DATE",
    "TIME",
    "TIME_NS",
    "TIME WITH TIME ZONE",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    "INTERVAL",
    "LIST",
    "ARRAY",
    "STRUCT",
    "MAP",
    "UNION",
    "STRING_LITERAL",
    "INTEGER_LITERAL",
];
/// Types that the parser leaves to the binder, by name.
pub(super) const NAMED_TYPES: [&str; 25] = [
    "json",
    "enum",
    "decimal",
    "numeric",
    "varint",
    "bignum",
    "bit",
    "bitstring",
    "struct",
    "map",
    "union",
    "uuid",
    "blob",
    "bytea",
    "varchar",
    "text",
    "string",
    "list",
    "array",
    "timestamp",
    "timestamptz",
    "int128",
    "uint128",
    "float8",
    "float4",
];
pub(super) const COLLATIONS: [&str; 6] =
    ["binary", "nocase", "noaccent", "nfc", "nocase.noaccent", "noaccent.nocase"];
/// Names that DuckDB turns into calls where no column has them; clocks are `clock.rs`'s.
pub(super) const HIDDEN_CALLS: [&str; 7] = [
    "current_catalog",
    "current_role",
    "current_schema",
    "current_user",
    "session_user",
    "user",
    "current_query",
];

/// Checks a type that a statement names.
///
/// # Errors
/// Where it is not one of DuckDB's own.
pub(super) fn logical_type(node: &Value) -> Result<(), EngineError> {
    let id = text(node, "id");
    if id == "UNBOUND" || id == "USER" {
        let info = &node["type_info"];
        let name = text(info, "name").to_lowercase();
        let qualified = !text(info, "schema").is_empty() || !text(info, "catalog").is_empty();
        if NAMED_TYPES.contains(&name.as_str()) && !qualified {
            return Ok(());
        }
        return Err(forbidden(format!("the type `{name}`"), "use one of DuckDB's own types"));
    }
    if TYPES.contains(&id) {
        return Ok(());
    }
    Err(forbidden(format!("the type `{id}`"), "use another type"))
}
