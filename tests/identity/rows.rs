//! Rows and statements over them, from a seed.

use std::fmt::Write as _;

/// Columns that a table has beside `id` and `city`, with their types.
pub(crate) const OPTIONAL: [(&str, &str); 6] = [
    ("seen", "timestamp"),
    ("price", "double"),
    ("amount", "decimal(12,2)"),
    ("ok", "boolean"),
    ("day", "date"),
    ("note", "string"),
];

/// A column and its type.
pub(crate) type Column = (&'static str, &'static str);

/// Splitmix64: enough to draw from.
#[derive(Debug)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// A row as the model knows it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) city: Option<u64>,
}

/// A row and its JSON.
pub(crate) fn row(draw: &mut Draw, id: u64, columns: &[Column]) -> (Row, String) {
    let city = (draw.below(8) > 0).then(|| draw.below(5));
    let mut json = format!("{{\"id\":{id}");
    if let Some(city) = city {
        let _ = write!(json, ",\"city\":\"city-{city}\"");
    }
    for (name, kind) in columns {
        if draw.below(6) > 0 {
            let _ = write!(json, ",\"{name}\":{}", value(draw, kind));
        }
    }
    json.push_str("}\n");
    (Row { id, city }, json)
}

fn value(draw: &mut Draw, kind: &str) -> String {
    match kind {
        "timestamp" => format!("\"2001-03-{:02}T{:02}:30:00\"", 1 + draw.below(5), draw.below(24)),
        "double" => match draw.below(8) {
            0 => "\"NaN\"".to_owned(),
            1 => "-0.0".to_owned(),
            2 => "0.0".to_owned(),
            n => format!("{}.25", n * draw.below(50)),
        },
        "boolean" => (draw.below(2) == 0).to_string(),
        "date" => format!("\"2001-03-{:02}\"", 1 + draw.below(28)),
        "string" => format!("\"{}\"", "long text ".repeat(usize::try_from(draw.below(6)).unwrap())),
        _ => format!("{}.{:02}", draw.below(1000), draw.below(100)),
    }
}

/// A statement, and whether the model can count its rows.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) sql: String,
    pub(crate) counts: Option<Predicate>,
}

/// Predicates that the model evaluates too.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Predicate {
    All,
    IdBetween(u64, u64),
    City(u64),
    NoCity,
}

impl Predicate {
    pub(crate) fn holds(self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::IdBetween(from, to) => (from..to).contains(&row.id),
            Self::City(city) => row.city == Some(city),
            Self::NoCity => row.city.is_none(),
        }
    }

    fn sql(self) -> String {
        match self {
            Self::All => "true".to_owned(),
            Self::IdBetween(from, to) => format!("id >= {from} AND id < {to}"),
            Self::City(city) => format!("city = 'city-{city}'"),
            Self::NoCity => "city IS NULL".to_owned(),
        }
    }
}

/// Draws a statement.
pub(crate) fn question(draw: &mut Draw, columns: &[Column]) -> Question {
    let from = draw.below(3000);
    let known = match draw.below(5) {
        0 => Predicate::All,
        1 | 2 => Predicate::IdBetween(from, from + 1 + draw.below(700)),
        3 => Predicate::City(draw.below(6)),
        _ => Predicate::NoCity,
    };
    if draw.below(3) == 0 {
        let sql = format!("SELECT count(*) AS n FROM t WHERE {}", known.sql());
        return Question { sql, counts: Some(known) };
    }
    let predicate = other(draw, columns).unwrap_or_else(|| known.sql());
    let sql = match draw.below(4) {
        0 => format!("SELECT * FROM t WHERE {predicate}"),
        1 => format!("SELECT id, city FROM t WHERE {predicate} ORDER BY id DESC LIMIT 7"),
        2 => format!("SELECT city, count(*), max(id) FROM t WHERE {predicate} GROUP BY city"),
        _ => {
            format!("SELECT count(*), min(id) FROM t AS a JOIN t AS b USING (id) WHERE id > {from}")
        }
    };
    Question { sql, counts: None }
}

/// A predicate over one of the optional columns.
fn other(draw: &mut Draw, columns: &[Column]) -> Option<String> {
    if columns.is_empty() || draw.below(3) == 0 {
        return None;
    }
    let index = usize::try_from(draw.below(columns.len() as u64)).unwrap();
    let (name, kind) = columns[index];
    let day = 1 + draw.below(6);
    Some(match (kind, draw.below(4)) {
        (_, 0) => format!("{name} IS NULL"),
        ("timestamp", _) => format!("{name} < TIMESTAMP '2001-03-{day:02} 12:00:00'"),
        ("double", 1) => format!("{name} > {}", draw.below(300)),
        ("double", _) => format!("{name} = 0"),
        ("boolean", _) => format!("NOT {name}"),
        ("date", _) => format!("{name} = DATE '2001-03-{day:02}'"),
        ("string", _) => format!("{name} > 'long text long'"),
        _ => format!("{name} BETWEEN {} AND 900.5", draw.below(900)),
    })
}
