-- Every refused object or record of a hospital, over all stages.
SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number, reason, detail, engine_version
FROM identified.refused_dicom_metadata WHERE hospital_id = @hospital_id
UNION ALL
SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number, reason, detail, engine_version
FROM identified.refused_identified_reports WHERE hospital_id = @hospital_id
UNION ALL
SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number, reason, detail, engine_version
FROM identified.refused_deidentified_metadata WHERE hospital_id = @hospital_id
UNION ALL
SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number, reason, detail, engine_version
FROM identified.refused_deidentified_reports WHERE hospital_id = @hospital_id
UNION ALL
SELECT hospital_id, hospital_number, work_token, stage, object_pseudonym, object_key, row_number, reason, detail, engine_version
FROM identified.refused_thumbnails WHERE hospital_id = @hospital_id
