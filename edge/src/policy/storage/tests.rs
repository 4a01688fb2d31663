//! The table of RFC 9111 §3.

use super::*;

fn judge(
    method: &Method,
    request: &str,
    authorized: bool,
    status: u16,
    lines: &[(&'static str, &'static str)],
) -> Result<(), NotStored> {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, http::HeaderValue::from_static(value));
    }
    let directives = RequestDirectives::parse(request);
    let asked = Asked { method, directives, authorized };
    storable(asked, StatusCode::from_u16(status).unwrap(), &map).map(|_| ())
}

#[test]
fn reasons_against() {
    type Case = (&'static [(&'static str, &'static str)], Result<(), NotStored>);
    let cases: [Case; 13] = [
        (&[("cache-control", "max-age=60")], Ok(())),
        (&[("cache-control", "s-maxage=1, max-age=0")], Ok(())),
        (&[("cache-control", "no-store, max-age=60")], Err(NotStored::NoStore)),
        (&[("cache-control", "private, max-age=60")], Err(NotStored::Private)),
        (&[("cache-control", "private=\"x\", max-age=60")], Err(NotStored::Private)),
        (
            &[("cache-control", "max-age=60"), ("cdn-cache-control", "no-store")],
            Err(NotStored::NoStore),
        ),
        (
            &[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60")],
            Err(NotStored::NoStore),
        ),
        (&[("cache-control", "max-age=60"), ("vary", "*")], Err(NotStored::Vary)),
        (
            &[("cache-control", "max-age=60"), ("vary", "accept-encoding, Cookie")],
            Err(NotStored::Vary),
        ),
        (&[("cache-control", "max-age=60"), ("vary", "Accept-Encoding")], Ok(())),
        (&[("cache-control", "max-age=60"), ("set-cookie", "a=b")], Err(NotStored::Cookie)),
        (
            &[("cache-control", "max-age=60"), ("content-type", "text/event-stream")],
            Err(NotStored::Events),
        ),
        (&[("etag", "\"a\"")], Err(NotStored::NoLifetime)),
    ];
    for (lines, expected) in cases {
        assert_eq!(judge(&Method::GET, "", false, 200, lines), expected, "{lines:?}");
    }
}

#[test]
fn methods_and_statuses() {
    let plain = &[("cache-control", "max-age=60")];
    for (status, expected) in [
        (200, Ok(())),
        (301, Ok(())),
        (404, Ok(())),
        (503, Ok(())),
        (206, Err(NotStored::Status)),
        (304, Err(NotStored::Status)),
        (103, Err(NotStored::Status)),
    ] {
        assert_eq!(judge(&Method::GET, "", false, status, plain), expected, "{status}");
    }
    assert_eq!(judge(&Method::POST, "", false, 200, plain), Err(NotStored::Method));
    assert_eq!(judge(&Method::GET, "no-store", false, 200, plain), Err(NotStored::RequestNoStore));
}

#[test]
fn authorised_answers_need_leave_to_be_shared() {
    for (text, expected) in [
        ("max-age=60", Err(NotStored::Authorized)), // §3.5
        ("public, max-age=60", Ok(())),
        ("s-maxage=60", Ok(())),
        ("must-revalidate, max-age=60", Ok(())),
    ] {
        let lines: &[(&'static str, &'static str)] = &[("cache-control", text)];
        assert_eq!(judge(&Method::GET, "", true, 200, lines), expected, "{text}");
    }
}
