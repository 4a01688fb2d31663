//! The cut, its history and what comes after the last flight.

use super::Flights;

fn line(flights: &Flights, place: u64) -> serde_json::Value {
    let mut text = String::new();
    flights.write_json(place, &mut text);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn history_ends_where_the_replay_begins() {
    let flights = Flights::read().unwrap();
    let history: usize = flights.history().unwrap().iter().map(|b| b.num_rows()).sum();
    assert_eq!(history, flights.history_rows());
    let at = flights.history_rows() as u64;
    assert!(line(&flights, at - 1)["date"].as_str().unwrap() < "2001-03-30");
    assert_eq!(line(&flights, at)["date"], "2001-03-30T00:00:00");
}

#[test]
fn after_the_last_flight_the_weeks_come_again_with_new_ids() {
    let flights = Flights::read().unwrap();
    let rows = 462_431;
    let (first, again) = (line(&flights, 0), line(&flights, rows));
    assert_eq!(first["date"], "2001-03-04T00:00:00");
    assert_eq!(again["date"], "2001-04-01T00:00:00");
    assert_eq!(first["origin"], again["origin"]);
    assert_eq!(again["flight_id"], 1_477_912);
    assert_eq!(line(&flights, rows - 1)["flight_id"], 1_477_911);
}

#[test]
fn a_place_is_found_by_its_id() {
    let flights = Flights::read().unwrap();
    for place in [0, 5, 500_000, 2_000_000] {
        assert_eq!(flights.place(flights.id(place)), Some(place));
    }
    assert_eq!(flights.place(1), None);
}
