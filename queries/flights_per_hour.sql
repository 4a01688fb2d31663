/*
description = "Flights and mean delay by hour of departure: the newest 48 hours of a span"

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
mark = "line"
encoding = { x = { field = "hour", type = "temporal" }, y = { field = "flights", type = "quantitative" } }
*/
SELECT
  date_trunc('hour', date) AS hour,
  count(*) AS flights,
  round(sum(delay) / count(*), 1) AS mean_delay
FROM flights
WHERE date >= $from AND date < $until
GROUP BY 1
ORDER BY 1 DESC
LIMIT 48
