/*
description = "Where most flights of a span depart"

[[parameters]]
name = "from"
type = "date"
default = "2001-03-29"
description = "The first day"

[[parameters]]
name = "until"
type = "date"
default = "2101-01-01"
description = "The day after the last"

[chart]
mark = "bar"
encoding = { x = { field = "flights", type = "quantitative" }, y = { field = "airport", type = "nominal", sort = "-x" } }
*/
SELECT
  origin AS airport,
  count(*) AS flights,
  round(sum(delay) / count(*), 1) AS mean_delay
FROM flights
WHERE date >= $from AND date < $until
GROUP BY 1
ORDER BY flights DESC
LIMIT 10
