-- Studies of a hospital by the way their reports were linked.
SELECT COALESCE(link_method, 'no_report') AS link_method, COUNT(DISTINCT study_instance_uid) AS studies
FROM deidentified.final_table
WHERE hospital_id = @hospital_id
GROUP BY link_method
ORDER BY link_method
