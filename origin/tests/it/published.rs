//! Published queries: parameters, policies, reload, `edge = true`.

use crate::house::House;

const TOP: &str = r#"/*
description = "Flights of a day"

[[parameters]]
name = "day"
type = "date"
default = "2001-03-31"

[[parameters]]
name = "least"
type = "integer"
default = 0
min = 0

[cache]
s_maxage = "5s"
*/
SELECT count(*) AS n FROM flights
WHERE date >= $day AND date < $day + INTERVAL 1 DAY AND delay >= $least
"#;

#[tokio::test]
async fn parameters_are_bound_and_checked() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    house.flight(2, "2001-03-30", 5).await;
    house.publish("top", TOP).await;
    let by_default = house.get("/v1/q/top").await;
    assert_eq!(by_default.value(), 1);
    assert!(by_default.header("cache-control").contains("s-maxage=5"));
    assert!(by_default.header("cache-tag").contains("q:top"), "{by_default:?}");
    assert_eq!(house.get("/v1/q/top.json?day=2001-03-30&least=6").await.value(), 0);
    let spelled_out = house.get("/v1/q/top?least=0&day=2001-03-31").await;
    assert_eq!(spelled_out.etag(), by_default.etag(), "one question, one validator");

    for (target, word) in [
        ("/v1/q/top?dya=2001-03-30", "did you mean `day`?"),
        ("/v1/q/top?day=yesterday", "a date such as"),
        ("/v1/q/top?least=-1", "at least 0"),
        ("/v1/q/top?least=1%3BDROP", "an integer"),
        ("/v1/q/top?q=SELECT+1", "unknown parameter `q`"),
    ] {
        let refused = house.get(target).await;
        assert_eq!(
            (refused.status.as_u16(), refused.problem().as_str()),
            (400, "invalid-parameter")
        );
        assert!(refused.detail().contains(word), "{target}: {}", refused.detail());
    }
    for (target, name) in [("/v1/q/top.xml", "query `top` has"), ("/v1/sql.xml?q=x", "there is")] {
        let refused = house.get(target).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (404, "not-found"));
        let told = format!("{name} no format `xml`; answers come as .json, .csv, .ndjson, .arrow");
        assert!(refused.detail().contains(&told), "{}", refused.detail());
    }
    let unknown = house.get("/v1/q/topp").await;
    assert!(unknown.detail().contains("did you mean `top`?"), "{}", unknown.detail());
}

#[tokio::test]
async fn a_file_that_changes_answers_anew() {
    let house = House::new().await;
    house.publish("one", "/* */ SELECT 1 AS n").await;
    let first = house.get("/v1/q/one").await;
    assert_eq!(first.value(), 1);
    house.publish("one", "/* */ SELECT 2 + 0 AS n").await;
    let second = house.get("/v1/q/one").await;
    assert_eq!(second.value(), 2);
    assert_ne!(first.etag(), second.etag());
    house.publish("one", "/* descripton = 'x' */ SELECT 3 + 0 + 0 AS n").await;
    let broken = house.get("/v1/q/one").await;
    assert_eq!(broken.status, 503);
    assert!(broken.detail().contains("did you mean `description`?"), "{}", broken.detail());
    let listed = house.get("/v1/queries").await.json();
    assert!(listed["queries"][0]["error"].is_string(), "{listed}");
}

#[tokio::test]
async fn what_is_unstable_is_not_for_the_edge() {
    let house = House::new().await;
    let statement = "SELECT id FROM flights";
    house.publish("loose", &format!("/* edge = true */ {statement} LIMIT 3")).await;
    let refused = house.get("/v1/q/loose").await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (400, "forbidden-sql"));
    assert!(refused.detail().contains("ORDER BY"), "it says what to change: {}", refused.detail());
    house.publish("firm", &format!("/* edge = true */ {statement} ORDER BY id LIMIT 3")).await;
    assert_eq!(house.get("/v1/q/firm").await.status, 200);
}
