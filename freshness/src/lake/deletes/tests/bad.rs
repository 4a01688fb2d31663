//! What cannot be read makes the table unreadable, by name, and never wrong.

use super::*;

/// The error of the table's newest state, which names the file and is not passing.
async fn refused(other: &Other, file: &str) -> String {
    let error = other.table.refresh().await.unwrap_err();
    let LakeError::DeleteFile { path, source } = &error else { panic!("{error:?}") };
    assert!(path.ends_with(file), "{path}");
    assert!(!error.is_transient());
    source.to_string()
}

#[tokio::test]
async fn broken_deletion_vectors_are_refused_by_name() {
    let whole = blob(&[1, 5]);
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut blob = whole.clone();
        change(&mut blob);
        blob
    };
    let last = whole.len() - 1;
    let cases = [
        (broken(&|blob| blob[last] ^= 1), "checksum"),
        (broken(&|blob| blob[10] ^= 1), "checksum"),
        (broken(&|blob| blob[4] = 0), "begin"),
        (broken(&|blob| blob[3] ^= 1), "says that it has"),
        (broken(&|blob| blob.truncate(20)), "says that it has"),
        (broken(&|blob| blob.truncate(3)), "says that it has"),
        (blob(&[1, 5, 6]), "3 positions, but the manifest says 2"),
    ];
    for (blob, said) in cases {
        let place = Place::new();
        let other = Other::new(&place).await;
        upgrade(&other).await;
        let a = other.file("a.parquet", Some(0), &on(0, 0..6)).await;
        let vector = other.vector("v.puffin", &a, &blob, 2).await;
        other.commit(vec![a], vec![vector]).await;
        let message = refused(&other, "v.puffin").await;
        assert!(message.contains(said), "{message}");
    }
}

#[tokio::test]
async fn a_puffin_file_that_was_cut_off_is_refused() {
    let place = Place::new();
    let other = Other::new(&place).await;
    upgrade(&other).await;
    let a = other.file("a.parquet", Some(0), &on(0, 0..6)).await;
    let vector = other.vector("v.puffin", &a, &blob(&[1]), 1).await;
    let local = vector.file_path().trim_start_matches("file://").to_owned();
    let whole = std::fs::read(&local).unwrap();
    std::fs::write(&local, &whole[..10]).unwrap();
    other.commit(vec![a], vec![vector]).await;
    assert!(refused(&other, "v.puffin").await.contains("the file only 10"));
    std::fs::write(&local, &whole).unwrap();
    assert_eq!(living_in(&other).await, [0, 2, 3, 4, 5], "what was mended is read");
}

#[tokio::test]
async fn two_vectors_of_one_file_are_refused() {
    let place = Place::new();
    let other = Other::new(&place).await;
    upgrade(&other).await;
    let a = other.file("a.parquet", Some(0), &on(0, 0..6)).await;
    let one = other.vector("v.puffin", &a, &blob(&[1]), 1).await;
    let two = other.vector("w.puffin", &a, &blob(&[2]), 1).await;
    other.commit(vec![a], vec![one, two]).await;
    assert!(refused(&other, "w.puffin").await.contains("v.puffin"));
}

#[tokio::test]
async fn delete_files_that_are_gone_or_no_parquet_are_refused() {
    let place = Place::new();
    for spoil in [true, false] {
        let other = Other::new(&place).await;
        let name = format!("{spoil}.parquet");
        let a = other.file(&format!("a{name}"), Some(0), &on(0, 0..3)).await;
        let path = a.file_path().to_owned();
        other.commit(vec![a], vec![]).await;
        let city = other.cities(&format!("c{name}"), Some(0), &[Some("city-1")]).await;
        let position = other.positions(&format!("p{name}"), Some(0), &[(&path, 0)]).await;
        let locals = [city.file_path(), position.file_path()];
        let locals = locals.map(|path| path.trim_start_matches("file://").to_owned());
        let kept = locals.clone().map(|local| std::fs::read(local).unwrap());
        for local in &locals {
            if spoil {
                std::fs::write(local, b"PAR1 and no more").unwrap();
            } else {
                std::fs::remove_file(local).unwrap();
            }
        }
        other.commit(vec![], vec![city, position]).await;
        refused(&other, &format!("p{name}")).await;
        std::fs::write(&locals[1], &kept[1]).unwrap();
        refused(&other, &format!("c{name}")).await;
        std::fs::write(&locals[0], &kept[0]).unwrap();
        let snapshot = other.table.refresh().await.unwrap();
        let own = snapshot.files.iter().find(|file| file.path.ends_with(format!("a{name}")));
        assert_eq!(own.unwrap().live_rows(), 1);
    }
}

#[tokio::test]
async fn a_delete_file_without_its_column_is_refused() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let a = other.file("a.parquet", Some(0), &on(0, 0..3)).await;
    other.commit(vec![a], vec![]).await;
    let values: ArrayRef = Arc::new(StringArray::from(vec!["city-1"]));
    // It says that it compares field 4 and has field 3 alone.
    let delete =
        other.equal("d.parquet", Some(0), vec![(field("x", DataType::Utf8, 4), values)]).await;
    let local = delete.file_path().trim_start_matches("file://").to_owned();
    let another = other.equal(
        "e.parquet",
        Some(0),
        vec![(field("x", DataType::Int64, 3), Arc::new(Int64Array::from(vec![1])) as ArrayRef)],
    );
    let another = another.await.file_path().trim_start_matches("file://").to_owned();
    std::fs::copy(another, local).unwrap();
    other.commit(vec![], vec![delete]).await;
    assert!(refused(&other, "d.parquet").await.contains("`city` (field id 4)"));
}

#[tokio::test]
async fn a_delete_of_a_column_that_never_was_is_refused() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let a = other.file("a.parquet", Some(0), &on(0, 0..3)).await;
    other.commit(vec![a], vec![]).await;
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let column = field("ghost", DataType::Int64, 77);
    let delete = other.equal("d.parquet", Some(0), vec![(column, values)]).await;
    other.commit(vec![], vec![delete]).await;
    assert!(refused(&other, "d.parquet").await.contains("field 77"));
}
