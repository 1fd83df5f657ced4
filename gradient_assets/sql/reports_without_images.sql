-- Reports of a hospital that no study was found for: counted, not lost.
SELECT COUNT(*) AS reports
FROM deidentified.deidentified_reports AS r
WHERE r.hospital_id = @hospital_id
  AND NOT EXISTS (
    SELECT 1
    FROM deidentified.deidentified_metadata AS m
    WHERE m.hospital_id = r.hospital_id
      AND (
        m.accession_pseudonym = r.accession_pseudonym
        OR m.study_instance_uid = r.study_instance_uid
        OR m.study_instance_uid = r.candidate_study_instance_uid
      )
  )
