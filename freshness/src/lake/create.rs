//! Making a table where it is absent, and holding what is configured against
//! one that exists.
//!
//! It must never know what a table holds.

use iceberg::spec::FormatVersion;
use iceberg::{ErrorKind, NamespaceIdent, TableCreation, TableIdent};

use super::catalog::Connection;
use super::{LakeError, columns};
use crate::settings::TableSettings;

/// Table properties of a table that is made.
const PROPERTIES: [(&str, &str); 3] = [
    ("write.parquet.compression-codec", "zstd"),
    // Old metadata files go with each commit; a commit every few seconds makes many.
    ("write.metadata.delete-after-commit.enabled", "true"),
    ("write.metadata.previous-versions-max", "100"),
];

/// The table's identity in the catalog; afterwards it exists and has the configured columns.
pub(super) async fn ensure(
    connection: &Connection,
    table: &TableSettings,
) -> Result<TableIdent, LakeError> {
    let invalid = |e: crate::settings::InvalidSettings| LakeError::Settings { what: e.to_string() };
    let (namespace, name) = table.parts().map_err(invalid)?;
    let namespace = NamespaceIdent::from_vec(namespace)
        .map_err(LakeError::catalog("the table's identifier is no Iceberg identifier"))?;
    let ident = TableIdent::new(namespace, name);
    let catalog = &connection.catalog;
    let exists = catalog
        .table_exists(&ident)
        .await
        .map_err(LakeError::catalog("cannot ask the catalog for the table"))?;
    if !exists {
        if table.columns.is_empty() {
            return Err(LakeError::TableMissing { identifier: table.identifier.clone() });
        }
        create(connection, &ident, table).await?;
    }
    check(connection, &ident, table).await?;
    Ok(ident)
}

async fn create(
    connection: &Connection,
    ident: &TableIdent,
    table: &TableSettings,
) -> Result<(), LakeError> {
    ensure_namespace(connection, ident.namespace()).await?;
    let schema = columns::schema(&table.columns)?;
    let spec = columns::partition_spec(table, &schema)?;
    let creation = TableCreation::builder()
        .name(ident.name().to_owned())
        .schema(schema)
        .partition_spec(spec)
        .properties(PROPERTIES.map(|(key, value)| (key.to_owned(), value.to_owned())))
        .format_version(FormatVersion::V2)
        .build();
    match connection.catalog.create_table(ident.namespace(), creation).await {
        Ok(_) => Ok(()),
        Err(error) => {
            // Another program may have made it in the same moment.
            let made = connection.catalog.table_exists(ident).await.unwrap_or(false);
            if made { Ok(()) } else { Err(LakeError::catalog("cannot make the table")(error)) }
        }
    }
}

async fn ensure_namespace(
    connection: &Connection,
    namespace: &NamespaceIdent,
) -> Result<(), LakeError> {
    let exists = connection
        .catalog
        .namespace_exists(namespace)
        .await
        .map_err(LakeError::catalog("cannot ask the catalog for the namespace"))?;
    if exists {
        return Ok(());
    }
    match connection.catalog.create_namespace(namespace, [].into()).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NamespaceAlreadyExists => Ok(()),
        Err(error) => {
            let made = connection.catalog.namespace_exists(namespace).await.unwrap_or(false);
            if made { Ok(()) } else { Err(LakeError::catalog("cannot make the namespace")(error)) }
        }
    }
}

async fn check(
    connection: &Connection,
    ident: &TableIdent,
    table: &TableSettings,
) -> Result<(), LakeError> {
    let loaded = connection
        .catalog
        .load_table(ident)
        .await
        .map_err(LakeError::catalog("cannot load the table"))?;
    match columns::difference(&table.columns, loaded.metadata().current_schema()) {
        None => Ok(()),
        Some(difference) => {
            Err(LakeError::SchemaDiffers { identifier: table.identifier.clone(), difference })
        }
    }
}
