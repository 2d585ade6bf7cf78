"""The last scaling decision in words: found in the cluster or in the database, told alike."""
