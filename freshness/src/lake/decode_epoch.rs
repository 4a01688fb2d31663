//! The decode epoch (rule 1): a number that the table records and that rises
//! when columns, key or decoding policy change.
//!
//! It must never know what the policy says, only its fingerprint.

use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction as _, Transaction};
use serde::{Deserialize, Serialize};

use super::LakeError;
use super::table::LakeTable;

/// The table property.
const DECODE: &str = "springtide.decode";
/// Others may change the property in the same moment; so often it is tried.
const ATTEMPTS: u32 = 5;

#[derive(Debug, Serialize, Deserialize)]
struct Epoch {
    epoch: u32,
    fingerprint: String,
}

/// The epoch that the table records; 0 where it records none.
pub(crate) fn recorded(metadata: &TableMetadata) -> Result<u32, LakeError> {
    Ok(read(metadata)?.map_or(0, |epoch| epoch.epoch))
}

/// The record as it is written.
pub(crate) fn property(metadata: &TableMetadata) -> Option<&String> {
    metadata.properties().get(DECODE)
}

impl LakeTable {
    /// The epoch of this fingerprint of columns, key and decoding policy: the one that the
    /// table records, or the next where it records another fingerprint.
    ///
    /// # Errors
    /// Where the catalog fails, or others keep changing the property.
    pub async fn ensure_decode_epoch(&self, fingerprint: &str) -> Result<u32, LakeError> {
        for _ in 0..ATTEMPTS {
            let table = self.base().await?;
            let recorded = read(table.metadata())?;
            if let Some(same) = recorded.as_ref().filter(|e| e.fingerprint == fingerprint) {
                self.set_own_epoch(same.epoch);
                return Ok(same.epoch);
            }
            let epoch = recorded.map_or(1, |epoch| epoch.epoch + 1);
            let next = Epoch { epoch, fingerprint: fingerprint.to_owned() };
            // Whatever comes of it, the table itself tells in the next round.
            if let Err(error) = self.write_epoch(&table, &next).await {
                tracing::debug!(%error, "the decode epoch was not recorded; looking again");
            }
        }
        Err(LakeError::Contended { attempts: ATTEMPTS })
    }

    async fn write_epoch(&self, table: &Table, epoch: &Epoch) -> Result<(), LakeError> {
        let record = || LakeError::Record { what: DECODE, place: self.identifier() };
        let text = serde_json::to_string(epoch).map_err(|_| record())?;
        let failed = || LakeError::catalog("cannot record the decode epoch");
        let transaction = Transaction::new(table);
        let action = transaction.update_table_properties().set(DECODE.to_owned(), text);
        let transaction = action.apply(transaction).map_err(failed())?;
        transaction.commit(self.catalog()).await.map(drop).map_err(failed())
    }
}

fn read(metadata: &TableMetadata) -> Result<Option<Epoch>, LakeError> {
    let parsed = property(metadata).map(|text| serde_json::from_str(text)).transpose();
    let place = || metadata.location().to_owned();
    parsed.map_err(|_| LakeError::Record { what: DECODE, place: place() })
}
