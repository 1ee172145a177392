"""The cell table: its columns, how they are held, its digest."""
