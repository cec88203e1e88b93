"""What a live state saves over replaying histories."""
