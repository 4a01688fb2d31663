//! The law, over random histories, schemas and predicates, on the real journal,
//! the real lake and the real engine: equal ETag, equal bytes; equal version,
//! equal ETag, however rows moved from tail to lake, through segments, commits
//! and restarts; and what is counted is what was sent.

#![allow(clippy::unwrap_used, missing_docs)]

mod history;
mod rows;
mod world;

use proptest::prelude::*;

use history::{Step, step};
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn equal_validators_are_equal_answers(
        columns in prop::sample::subsequence(rows::OPTIONAL.to_vec(), 0..=rows::OPTIONAL.len()),
        steps in prop::collection::vec(step(), 2..9),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new(&columns, seed).await;
            for step in &steps {
                match step {
                    Step::Ingest { rows } => world.ingest(*rows).await,
                    Step::Commit => world.commit().await,
                    Step::Restart => world.restart().await,
                }
                world.ask().await;
            }
            world.end().await;
        });
    }
}
