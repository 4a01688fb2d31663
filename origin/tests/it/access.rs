//! Restricted tables: who reads what, and what caches may know.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use springtide_origin::{AccessSettings, Algorithm, OriginSettings, RestrictedTable};

use crate::house::{House, START, sql};
use crate::streams::{Event, Events};

const SECRET: &[u8] = b"a secret of thirty-two bytes....";
const SUM: &str = "SELECT sum(pay) AS pay FROM payroll";

fn token(claims: Value) -> String {
    let mut claims = claims;
    claims["exp"] = json!(START / 1_000_000 + 600);
    let key = EncodingKey::from_secret(SECRET);
    format!("Bearer {}", jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap())
}

fn restrict(settings: &mut OriginSettings) {
    let file = settings.scratch_folder.with_file_name("secret");
    std::fs::write(&file, SECRET).unwrap();
    let payroll = RestrictedTable {
        claim: Some("role".to_owned()),
        values: vec!["hr".to_owned()],
        row_filter: Some("region IN $regions".to_owned()),
    };
    settings.access = AccessSettings {
        algorithm: Some(Algorithm::HS256),
        secret_file: Some(file),
        restricted: [("payroll".parse().unwrap(), payroll)].into(),
        ..AccessSettings::default()
    };
}

async fn house() -> House {
    let house = House::with(restrict).await;
    let rows = [("ann", "eu", 10), ("bob", "eu", 20), ("cid", "us", 400)];
    let rows: String = rows
        .iter()
        .map(|(name, region, pay)| {
            json!({"name": name, "region": region, "pay": pay}).to_string() + "\n"
        })
        .collect();
    house.ingest("payroll", &rows).await;
    house
}

#[tokio::test]
async fn a_row_filter_joins_every_read() {
    let house = house().await;
    let eu = token(json!({"role": "hr", "regions": ["eu"]}));
    let all = token(json!({"role": ["x", "hr"], "regions": ["eu", "us"]}));
    let of_eu = house.get_with(&sql(SUM), &[("authorization", &eu)]).await;
    let of_all = house.get_with(&sql(SUM), &[("authorization", &all)]).await;
    assert_eq!(of_eu.value().to_string(), "30");
    assert_eq!(of_all.value().to_string(), "430");
    assert_ne!(of_eu.etag(), of_all.etag(), "the claims join the validator");
    let joined = "SELECT count(*) AS n FROM payroll a JOIN payroll b ON a.name = b.name";
    let joined = house.get_with(&sql(joined), &[("authorization", &eu)]).await;
    assert_eq!(joined.value(), 2, "also under a self-join");
    assert_eq!(of_eu.header("cache-control"), "private, no-cache");
    assert!(of_eu.header("vary").contains("Authorization"));
    for name in ["cdn-cache-control", "springtide-cache-control", "cache-tag"] {
        assert_eq!(of_eu.header(name), "", "{name}");
    }
    let open = house.get_with(&sql("SELECT 1 AS x"), &[("authorization", &eu)]).await;
    assert!(open.header("cache-control").starts_with("public"), "open answers stay open");
}

#[tokio::test]
async fn the_access_check_comes_before_the_validator() {
    let house = house().await;
    let eu = token(json!({"role": "hr", "regions": ["eu"]}));
    let held = house.get_with(&sql(SUM), &[("authorization", &eu)]).await.etag().to_owned();
    let with = [("authorization", eu.as_str()), ("if-none-match", held.as_str())];
    assert_eq!(house.get_with(&sql(SUM), &with).await.status, 304);
    let nobody = house.get_with(&sql(SUM), &[("if-none-match", &held)]).await;
    assert_eq!((nobody.status.as_u16(), nobody.header("www-authenticate")), (401, "Bearer"));
    let guest = token(json!({"role": "guest", "regions": ["eu"]}));
    let lines = [("authorization", guest.as_str()), ("if-none-match", held.as_str())];
    assert_eq!(house.get_with(&sql(SUM), &lines).await.status, 403);
    let forged = [("authorization", "Bearer x.y.z"), ("if-none-match", held.as_str())];
    assert_eq!(house.get_with(&sql(SUM), &forged).await.status, 401);
    house.clock.advance(std::time::Duration::from_secs(700));
    assert_eq!(house.get_with(&sql(SUM), &with).await.status, 401, "it has expired");
}

#[tokio::test]
async fn a_validator_tells_nothing_of_rows_that_are_filtered_out() {
    let house = house().await;
    let eu = token(json!({"role": "hr", "regions": ["eu"]}));
    let lines = [("authorization", eu.as_str())];
    let before = house.get_with(&sql(SUM), &lines).await;
    house.ingest("payroll", r#"{"name":"dan","region":"us","pay":7}"#).await;
    let after = house.get_with(&sql(SUM), &lines).await;
    assert_eq!(after.etag(), before.etag(), "a row of another region");
    house.ingest("payroll", r#"{"name":"eve","region":"eu","pay":7}"#).await;
    assert_ne!(house.get_with(&sql(SUM), &lines).await.etag(), before.etag());
}

#[tokio::test]
async fn lists_hide_what_may_not_be_read() {
    let house = house().await;
    let names = |answer: crate::house::Answer| {
        let tables = answer.json()["tables"].as_array().unwrap().clone();
        tables.iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(house.get("/v1/tables").await), ["flights"]);
    let hr = token(json!({"role": "hr", "regions": ["eu"]}));
    let lines = [("authorization", hr.as_str())];
    assert_eq!(names(house.get_with("/v1/tables", &lines).await), ["flights", "payroll"]);
    assert_eq!(house.get("/v1/tables/payroll").await.status, 401);
}

#[tokio::test]
async fn the_feed_is_filtered() {
    let house = house().await;
    let hr = token(json!({"role": "hr", "regions": ["eu"]}));
    let mut open = Events::open(&house, "/v1/changes", &[]).await;
    let mut hrs = Events::open(&house, "/v1/changes", &[("authorization", &hr)]).await;
    let beat = open.next_of("heartbeat").await;
    assert!(!beat.data.to_string().contains("payroll"), "{beat:?}");
    hrs.next_of("heartbeat").await;
    house.ingest("payroll", r#"{"name":"dan","region":"us","pay":7}"#).await;
    house.flight(1, "2001-03-31", 5).await;
    let sequence = |event: &Event| event.id.split('-').nth(1).unwrap().parse::<u64>().unwrap();
    let told = loop {
        let change = hrs.next_of("change").await;
        if change.data["table"] == "payroll" {
            break sequence(&change);
        }
    };
    // Everything up to there has been told to the other as well.
    loop {
        let event = open.next().await.unwrap();
        assert!(!event.data.to_string().contains("payroll"), "{event:?}");
        if event.kind == "heartbeat" && sequence(&event) >= told {
            break;
        }
    }
}

#[tokio::test]
async fn a_live_query_needs_what_its_answer_needs() {
    let house = house().await;
    house.publish("pay", &format!("/* */ {SUM}")).await;
    let mut nobody = Events::open(&house, "/v1/live/pay", &[]).await;
    let refused = nobody.next_of("problem").await;
    assert_eq!(refused.data["status"], 401);
    let eu = token(json!({"role": "hr", "regions": ["eu"]}));
    let mut live = Events::open(&house, "/v1/live/pay", &[("authorization", &eu)]).await;
    let etag = live.next_of("etag").await;
    let answer = house.get_with("/v1/q/pay", &[("authorization", &eu)]).await;
    assert_eq!(etag.data["etag"], answer.etag());
}
