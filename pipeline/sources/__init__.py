"""Data sets' own layouts, one file each; `reading` says what a reader gives back."""
