SELECT origin, count(*) AS n, avg(delay) AS d FROM flights GROUP BY 1 ORDER BY n DESC LIMIT 20
SELECT date_trunc('hour', date) AS h, count(*) AS n FROM flights WHERE date >= TIMESTAMP '2001-02-10' AND date < TIMESTAMP '2001-02-11' GROUP BY 1 ORDER BY 1
SELECT destination, count(*) AS n, avg(delay) AS d FROM flights WHERE origin = 'ATL' AND date >= TIMESTAMP '2001-03-20' AND date < TIMESTAMP '2001-03-27' GROUP BY 1 ORDER BY 2 DESC
FROM flights
SELECT now(), 1e0, current_date, age(date) FROM flights
SELECT * FROM (SELECT origin, delay FROM flights ORDER BY delay LIMIT 3)
