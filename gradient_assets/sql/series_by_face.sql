-- Series of a hospital by whether they may show a face.
SELECT may_show_face, COUNT(DISTINCT COALESCE(series_instance_uid, sop_instance_uid)) AS series
FROM deidentified.final_table
WHERE hospital_id = @hospital_id
GROUP BY may_show_face
ORDER BY may_show_face
