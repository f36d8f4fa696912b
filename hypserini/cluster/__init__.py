"""What runs on Ray: tasks that are begun again, and objects in processes that are started again."""
