-- Every refused object or record of a hospital, over all stages, and how it stands.
WITH refused AS (
  SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number,
    reason, detail, engine_version, profile_digest
  FROM identified.refused_dicom_metadata WHERE hospital_id = @hospital_id
  UNION ALL
  SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number,
    reason, detail, engine_version, profile_digest
  FROM identified.refused_identified_reports WHERE hospital_id = @hospital_id
  UNION ALL
  SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number,
    reason, detail, engine_version, profile_digest
  FROM identified.refused_deidentified_metadata WHERE hospital_id = @hospital_id
  UNION ALL
  SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number,
    reason, detail, engine_version, profile_digest
  FROM identified.refused_deidentified_reports WHERE hospital_id = @hospital_id
  UNION ALL
  SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number,
    reason, detail, engine_version, profile_digest
  FROM identified.refused_thumbnails WHERE hospital_id = @hospital_id
)
SELECT refused.hospital_id, refused.hospital_number, refused.work_token, refused.stage, refused.object_pseudonym, refused.object_key,
  refused.row_number, refused.reason, refused.detail, refused.engine_version, refused.profile_digest, COALESCE(decided.status, 'open') AS status
FROM refused
LEFT JOIN identified.quarantine_status AS decided
  ON decided.hospital_id = refused.hospital_id AND decided.work_token = refused.work_token
  AND decided.row_number = refused.row_number
WHERE refused.reason <> 'withdrawn'
