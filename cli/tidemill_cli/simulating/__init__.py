"""What `tidemill simulate` plays: synthetic loads, and the policy of a TaskQueue's file."""
