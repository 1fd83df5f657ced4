-- One row per instance whose header and pixels were cleaned, with the reports of its study.
-- A report is linked by its accession number, else by its Study Instance UID, else to the patient's only study within
-- the date window (found before the boundary: behind it there are no true dates).  The first method that finds a study
-- wins for the report; a study with several reports shows them all, in the order of their pseudonyms.
WITH studies AS (
  SELECT DISTINCT study_instance_uid, accession_pseudonym
  FROM deidentified.deidentified_metadata
  WHERE hospital_id = @hospital_id AND study_instance_uid IS NOT NULL
),
reports AS (
  SELECT report_pseudonym, accession_pseudonym, study_instance_uid, candidate_study_instance_uid, report_text
  FROM deidentified.deidentified_reports
  WHERE hospital_id = @hospital_id
),
candidates AS (
  SELECT r.report_pseudonym, r.report_text, s.study_instance_uid, 1 AS preference
  FROM reports AS r
  JOIN studies AS s ON s.accession_pseudonym = r.accession_pseudonym
  UNION ALL
  SELECT r.report_pseudonym, r.report_text, s.study_instance_uid, 2 AS preference
  FROM reports AS r
  JOIN studies AS s ON s.study_instance_uid = r.study_instance_uid
  UNION ALL
  SELECT r.report_pseudonym, r.report_text, s.study_instance_uid, 3 AS preference
  FROM reports AS r
  JOIN studies AS s ON s.study_instance_uid = r.candidate_study_instance_uid
),
best AS (
  SELECT report_pseudonym, MIN(preference) AS preference
  FROM candidates
  GROUP BY report_pseudonym
),
links AS (
  SELECT DISTINCT c.report_pseudonym, c.report_text, c.study_instance_uid, c.preference
  FROM candidates AS c
  JOIN best AS b ON b.report_pseudonym = c.report_pseudonym AND b.preference = c.preference
),
linked_studies AS (
  SELECT
    study_instance_uid,
    MIN(report_pseudonym) AS report_pseudonym,
    COUNT(*) AS report_count,
    CASE MIN(preference)
      WHEN 1 THEN 'accession_number'
      WHEN 2 THEN 'study_instance_uid'
      ELSE 'patient_and_date'
    END AS link_method,
    STRING_AGG(report_text, '\n\n' ORDER BY report_pseudonym) AS report_text
  FROM links
  GROUP BY study_instance_uid
)
SELECT
  m.hospital_id,
  m.hospital_number,
  m.sop_instance_uid,
  m.series_instance_uid,
  m.study_instance_uid,
  m.patient_pseudonym,
  m.accession_pseudonym,
  m.sop_class_uid,
  m.modality,
  m.study_date,
  m.patient_sex,
  m.patient_age,
  m.study_description,
  m.series_description,
  m.body_part_examined,
  m.manufacturer,
  m.manufacturer_model_name,
  m.image_type,
  m.series_number,
  m.instance_number,
  m.image_rows,
  m.image_columns,
  m.number_of_frames,
  m.photometric_interpretation,
  m.transfer_syntax_uid,
  CASE MAX(CASE m.face WHEN 'likely' THEN 2 WHEN 'none' THEN 0 ELSE 1 END)
    OVER (PARTITION BY COALESCE(m.series_instance_uid, m.sop_instance_uid))
    WHEN 0 THEN 'none'
    WHEN 2 THEN 'likely'
    ELSE 'unknown'
  END AS may_show_face,
  p.verdict,
  p.boxes,
  p.thumbnail_key,
  l.report_pseudonym,
  COALESCE(l.report_count, 0) AS report_count,
  l.link_method,
  l.report_text
FROM deidentified.deidentified_metadata AS m
JOIN deidentified.pixel_text AS p
  ON p.hospital_id = m.hospital_id AND p.sop_instance_uid = m.sop_instance_uid AND p.box = 0
LEFT JOIN linked_studies AS l ON l.study_instance_uid = m.study_instance_uid
WHERE m.hospital_id = @hospital_id
