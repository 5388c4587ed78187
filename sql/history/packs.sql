-- title: which packs have migrations applied in this database
SELECT DISTINCT pack
FROM :"schema".:"table"
ORDER BY pack;
