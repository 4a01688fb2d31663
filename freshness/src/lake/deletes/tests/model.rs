//! Random histories of files and deletes of all kinds, against a list of rows.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;

/// A commit of another engine. Files are named by any number, taken round.
#[derive(Clone, Debug)]
enum Commit {
    /// A data file of a day with these cities, and perhaps a delete of cities at once.
    File(u8, Vec<Option<u8>>, Option<Equal>),
    /// Positions in files of a day.
    Positions(u8, Vec<(usize, u8)>),
    Equal(Equal),
    /// A file's deletion vector, if it has none.
    Vector(usize, BTreeSet<u8>),
}

/// Cities of a day, or of all of them.
#[derive(Clone, Debug)]
struct Equal {
    day: Option<u8>,
    cities: Vec<Option<u8>>,
}

fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let cities = || proptest::collection::vec(proptest::option::of(0..4_u8), 1..6);
    let equal = || {
        (proptest::option::of(0..2_u8), cities()).prop_map(|(day, cities)| Equal { day, cities })
    };
    let places = proptest::collection::vec((0..9_usize, 0..6_u8), 1..6);
    let vector = (0..9_usize, proptest::collection::btree_set(0..6_u8, 1..4));
    let one = prop_oneof![
        3 => (0..2_u8, cities(), proptest::option::of(equal()))
            .prop_map(|(day, cities, equal)| Commit::File(day, cities, equal)),
        2 => (0..2_u8, places).prop_map(|(day, places)| Commit::Positions(day, places)),
        2 => equal().prop_map(Commit::Equal),
        1 => vector.prop_map(|(file, positions)| Commit::Vector(file, positions)),
    ];
    proptest::collection::vec(one, 1..9)
}

struct File {
    entry: Entry,
    day: u8,
    rows: Vec<Row>,
    /// Dead by a position, by the vector, by equality.
    listed: BTreeSet<usize>,
    vector: Option<BTreeSet<usize>>,
    equal: BTreeSet<usize>,
}

#[derive(Default)]
struct Model {
    files: Vec<File>,
    names: usize,
}

fn city(number: Option<u8>) -> Option<String> {
    number.map(|number| format!("c{number}"))
}

impl Model {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}.parquet", self.names)
    }

    async fn apply(&mut self, other: &Other, commit: &Commit) {
        match commit {
            Commit::File(day, cities, equal) => {
                let delete = match equal {
                    Some(equal) => Some((equal, self.equal(other, equal).await)),
                    None => None,
                };
                let first = i64::try_from(self.names * 100).unwrap();
                let mut rows = on(i64::from(*day), first..first + cities.len() as i64);
                rows.iter_mut().zip(cities).for_each(|(row, given)| row.city = city(*given));
                let entry = other.file(&self.name(), Some((*day).into()), &rows).await;
                let (deletes, spec) = match delete {
                    Some((equal, entry)) => (vec![entry], i32::from(equal.day.is_none())),
                    None => (Vec::new(), 0),
                };
                let empty = BTreeSet::new();
                let (listed, equal) = (empty.clone(), empty);
                // One snapshot: a delete spares what comes with it, so it may be written first.
                if spec == 0 {
                    other.commit(vec![entry.clone()], deletes).await;
                } else {
                    other.commit_under(1, vec![], deletes).await;
                    other.commit(vec![entry.clone()], vec![]).await;
                }
                self.files.push(File { entry, day: *day, rows, listed, vector: None, equal });
            }
            Commit::Positions(day, places) => self.positions(other, *day, places).await,
            Commit::Equal(equal) => {
                let entry = self.equal(other, equal).await;
                let spec = i32::from(equal.day.is_none());
                other.commit_under(spec, vec![], vec![entry]).await;
            }
            Commit::Vector(file, positions) => self.vector(other, *file, positions).await,
        }
    }

    /// Kills by equality what there is so far.
    async fn equal(&mut self, other: &Other, equal: &Equal) -> Entry {
        let cities: Vec<Option<String>> = equal.cities.iter().map(|given| city(*given)).collect();
        for file in self.files.iter_mut().filter(|f| equal.day.is_none_or(|day| f.day == day)) {
            let hit = file.rows.iter().enumerate().filter(|(_, row)| cities.contains(&row.city));
            file.equal.extend(hit.map(|(at, _)| at));
        }
        let texts: Vec<Option<&str>> = cities.iter().map(Option::as_deref).collect();
        other.cities(&self.name(), equal.day.map(Into::into), &texts).await
    }

    async fn positions(&mut self, other: &Other, day: u8, places: &[(usize, u8)]) {
        let mut listed = Vec::new();
        for (file, at) in places {
            let count = self.files.len().max(1);
            let Some(file) = self.files.get_mut(file % count) else { continue };
            listed.push((file.entry.file_path().to_owned(), i64::from(*at)));
            if file.day == day {
                file.listed.insert((*at).into());
            }
        }
        listed.sort();
        let rows: Vec<(&str, i64)> = listed.iter().map(|(path, at)| (&**path, *at)).collect();
        let entry = other.positions(&self.name(), Some(day.into()), &rows).await;
        other.commit(vec![], vec![entry]).await;
    }

    async fn vector(&mut self, other: &Other, file: usize, positions: &BTreeSet<u8>) {
        let (name, count) = (self.name(), self.files.len().max(1));
        let Some(file) = self.files.get_mut(file % count).filter(|f| f.vector.is_none()) else {
            return;
        };
        let listed: Vec<u64> = positions.iter().map(|at| u64::from(*at)).collect();
        let entry = other.vector(&name, &file.entry, &blob(&listed), listed.len() as u64).await;
        file.vector = Some(positions.iter().map(|at| usize::from(*at)).collect());
        other.commit(vec![], vec![entry]).await;
    }

    fn living(&self) -> Vec<i64> {
        let mut living = Vec::new();
        for file in &self.files {
            let named = file.vector.as_ref().unwrap_or(&file.listed);
            let dead = |at: &usize| named.contains(at) || file.equal.contains(at);
            let rows = file.rows.iter().enumerate();
            living.extend(rows.filter(|(at, _)| !dead(at)).map(|(_, row)| row.id));
        }
        living.sort_unstable();
        living
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_rows_that_live_are_those_of_the_model(commits in commits()) {
        Runtime::new().unwrap().block_on(async {
            let place = Place::new();
            let other = Other::new(&place).await;
            upgrade(&other).await;
            let unpartitioned = UnboundPartitionSpec::builder().with_spec_id(1).build();
            other.edit(|builder| builder.add_partition_spec(unpartitioned).unwrap()).await;
            let mut model = Model::default();
            for commit in &commits {
                model.apply(&other, commit).await;
                // Known bit by bit here, and all at once below.
                assert_eq!(living_in(&other).await, model.living());
            }
            let fresh = place.shared_table().await.refresh().await.unwrap();
            assert_eq!(living(&fresh), model.living());
        });
    }
}
